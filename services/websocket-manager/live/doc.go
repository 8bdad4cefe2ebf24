// Package live is the Redis side of the live view: what every replica writes, and how each follows it.
//
//	group websocket_workers             any replica that has a client for the workflow
//	one member reads the event          announced ──▶ Hub reads the log from its cursor on
//	      │ ZADD, then append.lua           ▲              │ in seq order, holes waited for
//	      ▼                                 │              ▼
//	log (by seq) + row of the list ── PUBLISH         Watch, Watch, ... each pulls at its own pace
//
// The group gives each event to one replica, the browser sits on another: so every event goes into its
// workflow's log in Redis, and the announcement only says that there is something to read: one for all
// workflows of a script call, to all replicas, each of which picks those it has a client for. Whatever
// becomes of an announcement, nothing is lost: a Hub also reads after every (re)subscription and every
// few seconds. It subscribes first and reads then, so that nothing falls between.
//
// Order: members write at their own pace, so seq 7 may be in the log before 6. A Hub hands out a
// contiguous run only; a missing number is waited for, longer than the bus takes to move the entries of
// a dead member, then told as a gap. See [sequence].
//
// A slow reader costs nobody anything: a Hub keeps a short ring of its latest items, shared by all its
// watches, and who is further behind reads the log by itself.
package live
