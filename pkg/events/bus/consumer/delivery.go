package consumer

import (
	"cmp"
	"slices"
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// delivery is an event in flight: read, and not yet acknowledged.
type delivery struct {
	Message
	part int
	// begun counts the attempts begun so far, as the pending list has it.
	// Message.Attempt is the number of the one that runs.
	begun int
	// recovered entries were pending before they came: each of their attempts is
	// written down before it runs.
	recovered bool
	origin    wire.EntryKey // where it was first added; one that came back stands elsewhere
	ms        int64         // the entry id's time, for merging streams
	wait      time.Duration // before its next attempt

	shared *sharedEntry // see shared.go; nil: it has its entry for itself
}

// deliveryOf is one of the events of an entry, still without the event.
func deliveryOf(en wire.Entry) delivery {
	return delivery{Message: Message{Stream: en.Stream, EntryID: en.ID}, begun: en.Begun, recovered: en.Recovered, origin: en.EntryKey, ms: en.MS()}
}

// fresh: its first attempt, which was counted when it was read, has not begun.
func (d *delivery) fresh() bool { return d.begun == 0 && !d.recovered }

// suspect: it was in hand more than once when its member died.
func (d *delivery) suspect() bool { return d.recovered && d.begun >= 2 }

func (d *delivery) key() wire.EntryKey { return wire.EntryKey{Stream: d.Stream, ID: d.EntryID} }

// merge brings the events of several streams into one order. Within a
// millisecond seq decides: entry ids of different streams say nothing there.
func merge(ds []*delivery) {
	slices.SortStableFunc(ds, func(a, b *delivery) int {
		if c := cmp.Compare(a.ms, b.ms); c != 0 {
			return c
		}
		return cmp.Compare(a.Seq, b.Seq)
	})
}
