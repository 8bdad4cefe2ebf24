package bus

import (
	"context"
	"fmt"
	"time"

	"agentbus/pkg/events"
)

// Receipt says where an event stands. A Duplicate was added by an earlier call.
type Receipt struct {
	Stream    string
	EntryID   string // "<ms>-<n>", by the Redis server's clock
	Seq       int64  // number in its workflow, from 1
	Duplicate bool
}

// maxBatch bounds the events of one script call: about 1 ms of the server's time.
const maxBatch = 256

// Publish adds events, each once, and returns when Redis has them, one receipt
// per event in order. Calls running at the same time share round trips.
// Transient failures (connection, LOADING, OOM, ...) are tried again with the
// same event ids for up to 30 s or until ctx ends; an error then means that the
// outcome is unknown, and publishing the same events again within the dedup
// window is safe. Invalid events are a [events.FieldError] and nothing is added.
func (b *Bus) Publish(ctx context.Context, evs ...events.Event) ([]Receipt, error) {
	if len(evs) == 0 {
		return nil, nil
	}
	items, err := b.encode(evs)
	if err != nil {
		return nil, err
	}
	return b.publishers[b.classes.of(items)].publish(ctx, items)
}

// item is one event on its way: encoded, its keys spelled.
type item struct {
	part int
	typ  events.Type
	keys [3]string // stream, counter, memory: as publish.lua wants them
	data []byte
}

func (b *Bus) encode(evs []events.Event) ([]item, error) {
	items := make([]item, len(evs))
	for i, e := range evs {
		if err := e.Validate(); err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(evs), err)
		}
		data, err := e.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(evs), err)
		}
		if len(data) > events.MaxEventBytes {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(evs),
				&events.FieldError{Problem: fmt.Sprintf("has %d bytes; at most %d", len(data), events.MaxEventBytes)})
		}
		part := b.names.Partition(e.WorkflowID)
		items[i] = item{part: part, typ: e.Type, data: data,
			keys: [3]string{b.names.Stream(e.Type, part), b.names.Seq(e.WorkflowID), b.names.Seen(e.ID, part)}}
	}
	return items, nil
}

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

// runPublish calls publish.lua until it answers, ctx ends or publishPatience is
// over. A repeat is harmless: Redis knows the ids.
func (b *Bus) runPublish(ctx context.Context, items []item, c *Change) ([]Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, publishPatience)
	defer cancel()
	keys, args := publishArgs(items, c, b.cfg.DedupWindow)
	class := b.classes.of(items)
	for attempt := 1; ; attempt++ {
		start := time.Now()
		reply, err := b.publishDurably(ctx, class, keys, args)
		if err == nil {
			b.trouble.Store(nil)
			b.metrics.publishSeconds.Observe(time.Since(start).Seconds())
			return b.receipts(items, reply)
		}
		if !transient(err) {
			return nil, fmt.Errorf("publish: %w", err)
		}
		b.trouble.Store(&err)
		b.follow(ctx)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("publish: outcome unknown after %d tries: %w", attempt, err)
		case <-time.After(backoff(attempt, 10*time.Millisecond, time.Second, jitter)):
		}
	}
}

func (b *Bus) receipts(items []item, reply []any) ([]Receipt, error) {
	if len(reply) == 2 && reply[0] == "conflict" {
		return nil, ErrConflict
	}
	if len(reply) != 3*len(items)+1 {
		return nil, fmt.Errorf("publish: %d values of receipts for %d events", len(reply)-1, len(items))
	}
	out := make([]Receipt, len(items))
	for i, it := range items {
		row := reply[3*i+1 : 3*i+4]
		known, _ := row[0].(int64)
		id, _ := row[1].(string)
		seq, _ := row[2].(int64)
		out[i] = Receipt{Stream: it.keys[0], EntryID: id, Seq: seq, Duplicate: known == 1}
		if known == 1 {
			b.metrics.deduplicated.Inc()
		} else {
			b.metrics.published.Inc()
		}
	}
	return out, nil
}
