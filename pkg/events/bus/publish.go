package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
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
	return b.publisher.publish(ctx, items)
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
		data, err := json.Marshal(e)
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

// publisher collects what concurrent calls want published. One goroutine sends;
// while it waits for Redis the next batch gathers, so batches grow with the load
// and a lone event never waits for company.
type publisher struct {
	bus  *Bus
	mu   sync.Mutex
	wait []*publishCall
	wake chan struct{}
	stop chan struct{}
	done chan struct{}
}

type publishCall struct {
	ctx      context.Context
	items    []item
	receipts []Receipt
	err      error
	done     chan struct{}
}

func startPublisher(b *Bus) *publisher {
	p := &publisher{bus: b, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

func (p *publisher) publish(ctx context.Context, items []item) ([]Receipt, error) {
	call := &publishCall{ctx: ctx, items: items, done: make(chan struct{})}
	p.mu.Lock()
	select {
	case <-p.stop:
		p.mu.Unlock()
		return nil, ErrClosed
	default:
	}
	p.wait = append(p.wait, call)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	select {
	case <-call.done:
		return call.receipts, call.err
	case <-ctx.Done():
		return nil, fmt.Errorf("publish: outcome unknown: %w", context.Cause(ctx))
	}
}

func (p *publisher) close() {
	p.mu.Lock()
	close(p.stop)
	p.mu.Unlock()
	<-p.done
}

func (p *publisher) run() {
	defer close(p.done)
	for {
		stopping := false
		select {
		case <-p.wake:
		case <-p.stop:
			stopping = true
		}
		for calls := p.take(); len(calls) > 0; calls = p.take() {
			p.send(calls)
		}
		if stopping {
			return
		}
	}
}

// take returns waiting calls of about maxBatch events.
func (p *publisher) take() []*publishCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, size := 0, 0
	for n < len(p.wait) && (n == 0 || size+len(p.wait[n].items) <= maxBatch) {
		size += len(p.wait[n].items)
		n++
	}
	calls := p.wait[:n:n]
	p.wait = p.wait[n:]
	return calls
}

// send publishes the calls' events and answers each call.
func (p *publisher) send(calls []*publishCall) {
	var live []*publishCall
	for _, c := range calls {
		if c.ctx.Err() != nil { // its caller has gone with "unknown"; not adding is allowed
			close(c.done)
			continue
		}
		live = append(live, c)
	}
	if len(live) == 0 {
		return
	}
	var all []item
	for _, c := range live {
		all = append(all, c.items...)
	}
	ctx, cancel := anyOf(live)
	defer cancel()
	receipts, err := p.bus.admit(ctx, all)
	for _, c := range live {
		if err != nil {
			c.err = err
		} else {
			c.receipts, receipts = receipts[:len(c.items):len(c.items)], receipts[len(c.items):]
		}
		close(c.done)
	}
}

// anyOf ends when every call's context has ended, or after publishPatience.
func anyOf(calls []*publishCall) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), publishPatience)
	if len(calls) == 1 {
		stop := context.AfterFunc(calls[0].ctx, cancel)
		return ctx, func() { stop(); cancel() }
	}
	var mu sync.Mutex
	left := len(calls)
	stops := make([]func() bool, len(calls))
	for i, c := range calls {
		stops[i] = context.AfterFunc(c.ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			if left--; left == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

// admit sends items in script calls of one partition and at most maxBatch each,
// and returns their receipts in order.
func (b *Bus) admit(ctx context.Context, items []item) ([]Receipt, error) {
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
	for attempt := 1; ; attempt++ {
		start := time.Now()
		reply, err := publishScript.Run(ctx, b.rdb, keys, args...).Slice()
		if err == nil {
			b.metrics.publishSeconds.Observe(time.Since(start).Seconds())
			return b.receipts(items, reply)
		}
		if !transient(err) {
			return nil, fmt.Errorf("publish: %w", err)
		}
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
	if len(reply) != len(items)+1 {
		return nil, fmt.Errorf("publish: %d receipts for %d events", len(reply)-1, len(items))
	}
	out := make([]Receipt, len(items))
	for i, it := range items {
		row, ok := reply[i+1].([]any)
		if !ok || len(row) != 3 {
			return nil, fmt.Errorf("publish: receipt %d is %v", i, reply[i+1])
		}
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
