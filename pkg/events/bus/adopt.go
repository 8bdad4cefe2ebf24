package bus

import (
	"context"
	"time"
)

// adopt admits entries that came without seq. It tries until Redis answers: they
// are in hand, and nothing can be done with them before.
func (t *tenure) adopt(ds []*delivery, part int) []*delivery {
	keys := t.bus.memoryKeys(part)
	var index []int
	args := []any{t.bus.cfg.DedupWindow.Milliseconds(), seqTTL.Milliseconds()}
	for i, d := range ds {
		if d.Seq > 0 {
			continue
		}
		keys = append(keys, t.names.Adopted(d.Event.Type, part))
		args = append(args, d.EntryID, d.Event.ID, d.Event.WorkflowID)
		index = append(index, i)
	}
	if len(index) == 0 {
		return ds
	}
	ctx, cancel := context.WithTimeout(context.Background(), publishPatience)
	defer cancel()
	var seqs []int64
	for attempt := 1; ; attempt++ {
		var err error
		if seqs, err = adoptScript.Run(ctx, t.bus.rdb, keys, args...).Int64Slice(); err == nil && len(seqs) == len(index) {
			break
		}
		if ctx.Err() != nil { // they stay pending and are found again as stranded
			t.hand.remove(ds...)
			return nil
		}
		pause(ctx, backoff(attempt, 20*time.Millisecond, time.Second, jitter))
	}
	for i, at := range index {
		ds[at].Seq = seqs[i]
	}
	admitted := ds[:0]
	for _, d := range ds {
		if d.Seq > 0 {
			admitted = append(admitted, d)
			continue
		}
		t.duplicates.Inc()
		t.acks.add(d)
	}
	return admitted
}
