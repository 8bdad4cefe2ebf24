// Package bus moves events over Redis Streams (Redis 7.0.5 or newer). It connects and
// publishes; two packages beside it do the rest:
//
//	bus/consumer   a member of a consumer group: reads, hands out, acknowledges
//	bus/inspect    the operator's side: groups, dead letters, removal
//
//	bus/internal/janitor   trims the streams, for consumer
//	bus/internal/wire      the connection, entries and scripts, for all of them
//
// # Publishing
//
//	Publish ─▶ item ─▶ publisher ─▶ admitter ─▶ entries ─▶ admit.lua ─▶ streams
//	           check,   gathers       repeats      one an      number,
//	           encode   calls         until it     event       remember,
//	                                  is known                 add
//
// [Bus.Publish] returns when Redis has the events. Concurrent calls share round
// trips. One script admits a batch: an event id that is known within the dedup
// window adds nothing and returns the earlier entry; a new one takes the next
// number of its workflow (seq = 1, 2, 3 ...) and is added, in an entry of its own.
// [Bus.Commit] does the same together with a compare-and-set on a key of the same
// workflow, so that a state never disagrees with what was announced of it. What must
// have happened before a publish returns is the durability class of the event's type.
package bus
