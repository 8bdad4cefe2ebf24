package bus

import (
	"context"
	"fmt"
	"slices"
)

// begin counts the attempt. The first of a fresh entry was counted when it was
// read; later ones are written down before they run, so that a handler which
// kills its process runs out of attempts too. Those of a probe would be taken
// back: only suspects' are counted, so that a member which is killed while its
// sink is away leaves nothing counted behind.
func (t *tenure) begin(ctx context.Context, batch []*delivery, probe bool) []*delivery {
	uncounted := func(d *delivery) bool { return d.fresh() || probe && !d.suspect() }
	var again []*delivery
	open := make([]*delivery, 0, len(batch))
	for _, d := range batch {
		if d.begun >= t.sub.MaxDeliveries {
			t.bury(d, "crash", fmt.Errorf("attempt %d did not end: its member died or stood still", d.begun))
			continue
		}
		if !uncounted(d) {
			again = append(again, d)
		}
		open = append(open, d)
	}
	ours := t.count(ctx, again, 1)
	ready := open[:0]
	for _, d := range open {
		switch held, counted := ours[d]; {
		case uncounted(d) || held:
			d.begun++
			d.Attempt = d.begun
			ready = append(ready, d)
		case counted:
			t.letGo(d)
		default: // Redis is away: try the entry again a little later
			t.later(d, backoff(1, t.sub.BackoffMin, t.sub.BackoffMax, jitter))
		}
	}
	return ready
}

// release takes attempts back that do not count: into the queue while the member
// stays, into Redis in any case. Were it told when the member leaves only, one
// that is killed in an outage of its sink would leave the attempts counted, and
// events would become dead letters for the outage.
func (t *tenure) release(working context.Context, ds []*delivery) {
	if len(ds) == 0 {
		return
	}
	for _, d := range ds {
		d.begun--
		d.recovered = true // from here on each of its attempts is written down
	}
	ours := t.count(working, ds, 0)
	keep := make([]*delivery, 0, len(ds))
	for _, d := range ds {
		switch held, counted := ours[d]; {
		case counted && !held:
			t.letGo(d)
		case context.Cause(working) == nil:
			keep = append(keep, d)
		case d.pack == nil:
			t.hand.remove(d)
		}
	}
	t.lanes.push(keep...)
}

// count writes the numbers of attempts, each d.begun and more, into the pending
// list: one script call per partition and maxBatch entries. It tells for each
// entry whether it is still this member's. One that is not in the answer could
// not be counted: Redis is away.
func (t *tenure) count(ctx context.Context, ds []*delivery, more int) map[*delivery]bool {
	ours := make(map[*delivery]bool, len(ds))
	for part := range t.names.Parts() {
		var asked []*delivery
		for _, d := range ds {
			if d.part == part {
				asked = append(asked, d)
			}
		}
		for chunk := range slices.Chunk(asked, maxBatch) {
			held, err := t.countChunk(ctx, chunk, more)
			if err != nil || len(held) != len(chunk) {
				continue
			}
			for i, d := range chunk {
				ours[d] = held[i] == 1
			}
		}
	}
	return ours
}

func (t *tenure) countChunk(ctx context.Context, ds []*delivery, more int) ([]int64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackPatience)
	defer cancel()
	keys := make([]string, len(ds))
	args := []any{t.sub.Group, t.bus.cfg.Member}
	for i, d := range ds {
		keys[i] = d.Stream
		args = append(args, d.EntryID, d.begun-d.carried+more)
	}
	return attemptScript.Run(ctx, t.bus.rdb, keys, args...).Int64Slice()
}
