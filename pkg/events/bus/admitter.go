package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events/bus/internal/wire"
)

// publishPatience bounds the retries of one publish. Shorter than the dedup
// window, so that a repeat is always recognised.
const publishPatience = 30 * time.Second

// admitter has events numbered, remembered and added: one script call per batch,
// repeated until Redis answers. A repeat is harmless, since Redis knows the ids.
type admitter struct {
	conn     *wire.Conn
	classes  durabilities
	replicas int // that the class replica waits for
	layout   layout

	// trouble is why publishing does not get on, for callers whose time is up; nil
	// when it does.
	trouble atomic.Pointer[error]

	published, deduplicated prometheus.Counter
	seconds                 prometheus.Observer
}

func newAdmitter(conn *wire.Conn, classes durabilities, replicas int, entries layout) *admitter {
	counter := func(name, help string) prometheus.Counter {
		return wire.Register(conn, prometheus.NewCounter(prometheus.CounterOpts{Name: "agentbus_bus_" + name, Help: help}))
	}
	return &admitter{
		conn: conn, classes: classes, replicas: replicas, layout: entries,
		published:    counter("published_total", "Events Redis has taken from this process."),
		deduplicated: counter("deduplicated_total", "Events of this process whose id Redis knew already."),
		seconds: wire.Register(conn, prometheus.NewHistogram(prometheus.HistogramOpts{Name: "agentbus_bus_publish_seconds",
			Help: "One round trip of a batch of events.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)})),
	}
}

// classOf is the strictest class among the items.
func (a *admitter) classOf(items []item) durability {
	class := async
	for _, it := range items {
		class = max(class, a.classes[it.typ])
	}
	return class
}

// admit adds items in script calls of one partition and at most wire.MaxBatch each,
// and returns their receipts in order.
func (a *admitter) admit(ctx context.Context, items []item) ([]Receipt, error) {
	receipts := make([]Receipt, len(items))
	for part := range a.conn.Names.Parts() {
		var index []int // of the partition's items, each id once
		for i, it := range items {
			if it.part == part {
				index = append(index, i)
			}
		}
		for chunk := range slices.Chunk(index, wire.MaxBatch) {
			if err := a.admitPart(ctx, items, chunk, nil, receipts); err != nil {
				return nil, err
			}
		}
	}
	return receipts, nil
}

// admitPart admits those items of one partition that index names, with a change where
// there is one, and writes their receipts. A first event that is known means that the
// change was made by an earlier call.
func (a *admitter) admitPart(ctx context.Context, items []item, index []int, change *wire.Change, receipts []Receipt) error {
	first := make(map[string]int, len(index)) // by event id
	rest := make([]int, 0, len(index))
	for _, i := range index {
		if _, again := first[items[i].id]; !again {
			first[items[i].id] = i
			rest = append(rest, i)
		}
	}
	for len(rest) > 0 {
		got, err := a.call(ctx, items, rest, change)
		if err != nil {
			return err
		}
		unknown := rest[:0:0]
		for n, i := range rest {
			if place := got.Places[n]; place.ID != "" {
				receipts[i] = Receipt{Stream: a.conn.Names.Stream(items[i].typ, items[i].part), EntryID: place.ID, Seq: place.Seq, Duplicate: got.Known}
			} else {
				unknown = append(unknown, i)
			}
		}
		if got.Known && receipts[index[0]].EntryID != "" {
			change = nil
		}
		rest = unknown
	}
	for _, i := range index {
		if at := first[items[i].id]; at != i {
			receipts[i] = receipts[at]
			receipts[i].Duplicate = true
		}
		if receipts[i].Duplicate {
			a.deduplicated.Inc()
		} else {
			a.published.Inc()
		}
	}
	return nil
}

// call makes one admission of the items that index names and repeats it until Redis
// answers, ctx ends or publishPatience is over.
func (a *admitter) call(ctx context.Context, items []item, index []int, change *wire.Change) (wire.Admitted, error) {
	ctx, cancel := context.WithTimeout(ctx, publishPatience)
	defer cancel()
	batch := make([]item, len(index))
	admission := wire.Admission{Part: items[index[0]].part, IDs: make([]string, len(index)), Workflows: make([]string, len(index)), Change: change}
	for n, i := range index {
		batch[n] = items[i]
		admission.IDs[n], admission.Workflows[n] = items[i].id, items[i].workflow
	}
	admission = a.layout(admission, batch)
	class := a.classOf(batch)
	for attempt := 1; ; attempt++ {
		start := time.Now()
		got, err := a.once(ctx, class, admission)
		if err == nil {
			a.trouble.Store(nil)
			a.seconds.Observe(time.Since(start).Seconds())
			if got.Conflict {
				return got, ErrConflict
			}
			return got, nil
		}
		if !wire.Transient(err) && !errors.Is(err, errNotDurable) {
			return got, fmt.Errorf("publish: %w", err)
		}
		a.trouble.Store(&err)
		a.conn.Follow(ctx)
		if wire.Pause(ctx, wire.Backoff(attempt, 10*time.Millisecond, time.Second, wire.Jitter)); ctx.Err() != nil {
			return got, fmt.Errorf("publish: outcome unknown after %d tries: %w", attempt, err)
		}
	}
}

// once makes the admission and waits for its class on the same connection: WAIT counts
// what this connection has written.
func (a *admitter) once(ctx context.Context, class durability, admission wire.Admission) (wire.Admitted, error) {
	if class == async {
		return a.conn.Admit(ctx, a.conn.Redis, admission)
	}
	node, err := a.conn.Node(ctx, admission.Streams[0])
	if err != nil {
		return wire.Admitted{}, err
	}
	conn := node.Conn()
	defer func() { _ = conn.Close() }()
	got, err := a.conn.Admit(ctx, conn, admission)
	if err != nil || got.Conflict {
		return got, err
	}
	return got, confirm(ctx, conn, class, a.replicas, func(slow error) { a.trouble.Store(&slow) })
}
