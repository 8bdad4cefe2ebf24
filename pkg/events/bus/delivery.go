package bus

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// delivery is an entry in a member's hands.
type delivery struct {
	Message
	part int
	// begun counts the attempts begun so far, as the pending list has it.
	// Message.Attempt is the number of the one that runs.
	begun int
	// recovered entries were pending before they came: each of their attempts is
	// written down before it runs.
	recovered bool
	origin    entryKey // where it was first added; one that came back stands elsewhere
	ms        uint64   // the entry id's time, for merging streams

	// What came back from a pack brings along:
	carried   int           // of begun, attempts there: not in the pending list
	wait      time.Duration // before its next attempt
	condemned bool          // that it shall be a dead letter

	pack    *pack // nil: it has its entry for itself
	settled bool  // handled or failed; for a pack, under its lock
}

// fresh: its first attempt, which was counted when it was read, has not begun.
func (d *delivery) fresh() bool { return d.begun == d.carried && !d.recovered }

// suspect: it was in hand more than once when its member died.
func (d *delivery) suspect() bool { return d.recovered && d.begun >= 2 }

// entryKey names an entry over all streams.
type entryKey struct{ stream, id string }

func (d *delivery) key() entryKey { return entryKey{d.Stream, d.EntryID} }

// merge brings the entries of several streams into one order. Within a
// millisecond seq decides: entry ids of different streams say nothing there.
func merge(ds []*delivery) {
	slices.SortStableFunc(ds, func(a, b *delivery) int {
		if c := cmp.Compare(a.ms, b.ms); c != 0 {
			return c
		}
		return cmp.Compare(a.Seq, b.Seq)
	})
}

// entryMS is the time part of an entry id, in Unix milliseconds.
func entryMS(id string) uint64 {
	ms, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseUint(ms, 10, 64)
	return n
}
