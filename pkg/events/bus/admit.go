package bus

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// admit sends items in script calls of one partition and at most maxBatch each,
// and returns their receipts in order.
func (b *Bus) admit(ctx context.Context, items []item) ([]Receipt, error) {
	if b.names.Parts() == 1 && len(items) <= maxBatch {
		return b.runPublish(ctx, items, nil)
	}
	receipts := make([]Receipt, len(items))
	for part := range b.names.Parts() {
		var index []int
		for i, it := range items {
			if it.part == part {
				index = append(index, i)
			}
		}
		for len(index) > 0 {
			n := min(len(index), maxBatch)
			batch := make([]item, n)
			for i, at := range index[:n] {
				batch[i] = items[at]
			}
			got, err := b.runPublish(ctx, batch, nil)
			if err != nil {
				return nil, err
			}
			for i, at := range index[:n] {
				receipts[at] = got[i]
			}
			index = index[n:]
		}
	}
	return receipts, nil
}

// runPublish admits items of one partition, with a change where c is not nil. A first
// event that is known means that the change was made by an earlier call.
func (b *Bus) runPublish(ctx context.Context, items []item, c *Change) ([]Receipt, error) {
	receipts := make([]Receipt, len(items))
	first := make(map[string]int, len(items)) // by event id
	rest := make([]int, 0, len(items))
	for i, it := range items {
		if _, again := first[it.id]; !again {
			first[it.id] = i
			rest = append(rest, i)
		}
	}
	for len(rest) > 0 {
		batch := newBatch(b, items, rest)
		known, err := b.callPublish(ctx, batch, c, receipts)
		if err != nil {
			return nil, err
		}
		if known && receipts[0].EntryID != "" {
			c = nil
		}
		rest = slices.DeleteFunc(rest, func(i int) bool { return receipts[i].EntryID != "" })
	}
	for i, it := range items {
		if at := first[it.id]; at != i {
			receipts[i] = receipts[at]
			receipts[i].Duplicate = true
		}
		if receipts[i].Duplicate {
			b.metrics.deduplicated.Inc()
		} else {
			b.metrics.published.Inc()
		}
	}
	return receipts, nil
}

// callPublish calls publish.lua until it answers, ctx ends or publishPatience is over,
// and writes receipts: of all events of the batch, or, when some are known, of those. A
// repeat is harmless: Redis knows the ids.
func (b *Bus) callPublish(ctx context.Context, batch *batch, c *Change, receipts []Receipt) (known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishPatience)
	defer cancel()
	keys, args := b.publishArgs(batch, c)
	for attempt := 1; ; attempt++ {
		start := time.Now()
		reply, err := b.publishDurably(ctx, batch.class, keys, args)
		if err == nil {
			b.trouble.Store(nil)
			b.metrics.publishSeconds.Observe(time.Since(start).Seconds())
			return batch.read(reply, receipts)
		}
		if !transient(err) {
			return false, fmt.Errorf("publish: %w", err)
		}
		b.trouble.Store(&err)
		b.follow(ctx)
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("publish: outcome unknown after %d tries: %w", attempt, err)
		case <-time.After(backoff(attempt, 10*time.Millisecond, time.Second, jitter)):
		}
	}
}

// publishArgs lays out KEYS and ARGV as publish.lua's head says.
func (b *Bus) publishArgs(batch *batch, c *Change) (keys []string, args []any) {
	keys = b.memoryKeys(batch.items[0].part)
	args = make([]any, 9, 9+2*len(batch.items)+len(batch.entries))
	args[0], args[1], args[2], args[3] = len(batch.items), b.cfg.DedupWindow.Milliseconds(), seqTTL.Milliseconds(), batch.entryOf
	args[4], args[5], args[6], args[7], args[8] = "none", 0, "", 0, 0
	for _, it := range batch.items {
		args = append(args, it.id)
	}
	for _, it := range batch.items {
		args = append(args, it.workflow)
	}
	for _, e := range batch.entries {
		keys = append(keys, e.stream)
		args = append(args, e.data())
	}
	if c == nil {
		return keys, args
	}
	args[4], args[5], args[6], args[7], args[8] = "set", c.Rev, c.Doc, c.TTL.Milliseconds(), len(c.Index)
	if c.Doc == nil {
		args[4], args[6] = "delete", ""
	}
	keys = append(keys, c.Key)
	for _, u := range c.Index {
		op := "add"
		if u.Remove {
			op = "rem"
		}
		keys = append(keys, u.Key)
		args = append(args, op, u.Member, strconv.FormatFloat(u.Score, 'f', -1, 64))
	}
	return keys, args
}

// memoryKeys are the first KEYS of the scripts that admit, see memory.lua.
func (b *Bus) memoryKeys(part int) []string {
	return []string{b.names.Seen(part), b.names.SeenBefore(part), b.names.Seqs(part), b.names.SeqsBefore(part)}
}
