// Package bus moves events over Redis Streams (Redis 7.0.5 or newer).
//
// # Publishing
//
// [Bus.Publish] returns when Redis has the events. Concurrent calls share round
// trips. One script admits a batch: an event id that is known within the dedup
// window adds nothing and returns the earlier entry; a new one takes the next
// number of its workflow (seq = 1, 2, 3 ...) and is added. New events of one type in
// a batch share an entry (see [Config] EventsPerEntry): most of what Redis and every
// reader do is per entry. [Bus.Commit] does the
// same together with a compare-and-set on a key of the same workflow, so that a
// state never disagrees with what was announced of it. An entry that others add
// by plain XADD, without seq, is admitted when the first group reads it, with the
// same outcome for every group.
//
// # Consuming
//
// [Bus.Consume] makes the process a member of a group. What becomes of an entry:
//
//	           XREADGROUP                    nil
//	new ────────────────────▶ in hand ─────────────────▶ acknowledged
//	                          ▲  │  │ error
//	        own, or a dead    │  │  └──▶ back-off, again; after MaxDeliveries ──▶ dead letter
//	        member's          │  ├─ Permanent ──────────────────────────────────▶ dead letter
//	pending ──────────────────┘  └─ Unavailable ──▶ reading stops, probe, again (not counted)
//
// A member holds a lease: a counter in Redis that it raises every few seconds. A
// member whose counter stands still for three looks of another member is dead;
// in one script its lease is checked again and its entries move. One that took
// leave with entries in its hands says so in its lease; they move at once. Looks are
// counted, clocks are not compared, so a jump of Redis' clock moves nothing. A
// member that was stopped and wakes up finds its lease gone, cancels the handlers
// it runs and joins anew: it acknowledges nothing that is no longer its own.
//
// Deliveries are counted in the pending list itself (its delivery counter), so
// the count dies with the acknowledgement and survives the member. An entry that
// was in hand twice when its member died is suspected of having killed it:
// suspects run one at a time, so that their neighbours do not share their fate.
//
// Events that share an entry are handed out, tried again and dead-lettered one by one,
// as if each had its own; the entry is acknowledged after the last. When one fails, or
// the member dies, those not handled leave it, in one step with its acknowledgement,
// for the group's own stream (replay:<group>), each in an entry of its own.
//
// Delivery is at least once. The effect is once where the sink can tell, by seq
// or by event id.
package bus
