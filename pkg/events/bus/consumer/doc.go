// Package consumer is a member of a consumer group. [Run] joins, hands events to a
// handler and leaves. An event on its way, each box a file:
//
//	          ┌────────┐   ┌────────┐   ┌───────────┐   ┌────────┐   ┌─────────┐
//	XREADGROUP│ reader ├──▶│ intake ├──▶│ scheduler ├──▶│ worker ├──▶│ handler │
//	          └────────┘   └───┬────┘   └─────▲─────┘   └───┬────┘   └─────────┘
//	          ┌──────────┐     │ no event     │ again       │ outcome
//	dead, left│recoverer ├──▶ fetcher         │         ┌───▼────┐  ┌──────────────┐
//	own, stuck└──────────┘     │            retry ◀─────┤ settle ├─▶│ acknowledger │XACK
//	                           │                        └───┬────┘  └──────────────┘
//	                           ▼                            ▼
//	                       ┌───────────────────────────────────┐
//	                       │        deadletter_writer          │dlq:<group>
//	                       └───────────────────────────────────┘
//
// Beside them stand inflight, which bounds what a member holds, breaker, which stops it
// while its sink is away, heartbeat, which holds its lease, foreignAdmitter, which has entries of
// others numbered, and shared, which alone knows of entries with several events. They
// meet in member.
//
// # What becomes of an entry
//
//	           XREADGROUP                    nil
//	new ────────────────────▶ in flight ───────────────▶ acknowledged
//	                          ▲  │  │ error
//	        own, or a dead    │  │  └──▶ back-off, again; after MaxDeliveries ──▶ dead letter
//	        member's          │  ├─ Permanent ──────────────────────────────────▶ dead letter
//	pending ──────────────────┘  └─ Unavailable ──▶ reading stops, probe, again (not counted)
//
// Delivery is at least once. The effect is once where the sink can tell, by seq
// or by event id.
//
// # Members
//
// A member holds a lease: a counter in Redis that it raises every few seconds. A
// member whose counter stands still for three checks of another member is dead;
// in one script its lease is checked again and its entries move. One that took
// leave with entries in its hands says so in its lease; they move at once. Checks are
// counted, clocks are not compared, so a jump of Redis' clock moves nothing. A
// member that was stopped and wakes up finds its lease gone, cancels the handlers
// it runs and joins anew: it acknowledges nothing that is no longer its own.
//
// A consumer without a lease, such as a program in another language, is alive while it
// touches its group by XREADGROUP or XCLAIM; its entries move after 5 minutes without.
//
// Deliveries are counted in the pending list itself (its delivery counter), so
// the count dies with the acknowledgement and survives the member. An entry that
// was in flight twice when its member died is suspected of having killed it:
// suspects run one at a time, so that their neighbours do not share their fate.
//
// # Fairness
//
// Event types take turns in the scheduler, and with several none holds the last free
// worker. What may be in flight is shared by all types, but each may always have its
// share of it, so a type that comes in masses keeps no other from being read.
package consumer
