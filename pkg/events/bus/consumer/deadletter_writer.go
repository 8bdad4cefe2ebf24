package consumer

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events/bus/internal/wire"
)

// deadLetterWriter keeps the dead letters that Redis does not take, out of memory above
// all, and tries until it does, so that no reader and no worker waits and the good
// entries pass. Up to limit letters are kept whole. Of more than that only the keys are
// kept, as postponed: they stay pending, and are fetched and judged again when the
// letters before them are written.
type deadLetterWriter struct {
	store     deadLetters
	attempts  attempts
	inflight  *inflight
	limit     int
	postponed *postponed
	gauge     prometheus.Gauge // of letters that wait, postponed ones included
	refused   wire.Condition
	wake      chan struct{} // a letter waits
	written   chan struct{} // one is written

	mu    sync.Mutex
	queue []letter
}

func newDeadLetterWriter(store deadLetters, limit int, gauge prometheus.Gauge) *deadLetterWriter {
	return &deadLetterWriter{store: store, attempts: attempts{store.group}, inflight: store.inflight, limit: limit, postponed: newPostponed(gauge), gauge: gauge,
		wake: make(chan struct{}, 1), written: make(chan struct{}, 1),
		refused: wire.Condition{Log: store.group.log, Bad: "Redis does not take dead letters; their entries stay pending, others are handled", Good: "Redis takes dead letters again"}}
}

// busy: letters wait, so that another need not be tried.
func (w *deadLetterWriter) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) > 0
}

// write moves an entry to the group's dead letters. Nobody waits for that: what cannot
// be written at once is queued.
func (w *deadLetterWriter) write(l letter) {
	if w.busy() || w.store.write(l) != nil {
		w.add(l)
	}
}

// add queues a letter.
func (w *deadLetterWriter) add(l letter) {
	w.mu.Lock()
	full := len(w.queue) >= w.limit
	if !full {
		w.queue = append(w.queue, l)
		w.gauge.Inc()
	}
	w.mu.Unlock()
	if full {
		w.postpone(l)
		return
	}
	w.inflight.setWaiting(l.Stream, 1) // takes no room from others
	wire.Signal(w.wake)
}

// postpone lets go of an entry and remembers its key. The handler will be asked
// again, so the attempt that failed is taken back: else some rounds of this would
// make its class a crash.
func (w *deadLetterWriter) postpone(l letter) {
	if !l.unasked {
		l.begun--
		if ours := w.attempts.count(context.Background(), []*delivery{l.delivery}, 0); len(ours) == 0 {
			l.begun++ // Redis is away: it stays counted there
		}
	}
	w.postponed.add(l.part, wire.Pending{EntryKey: l.key(), Begun: l.begun})
	w.inflight.remove(l.key())
	wire.Signal(w.written) // the queue may have been written meanwhile
}

// run writes what waits until ctx ends.
func (w *deadLetterWriter) run(ctx context.Context) {
	for attempt := 1; ; {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil && w.busy() {
			err := w.next()
			if w.refused.Set(0, err); err == nil {
				attempt = 1
				continue
			}
			wire.Pause(ctx, wire.Backoff(attempt, 20*time.Millisecond, time.Second, wire.Jitter))
			attempt++
		}
	}
}

// next writes the first letter of the queue. One that is refused goes to the end:
// the fault may be its own.
func (w *deadLetterWriter) next() error {
	w.mu.Lock()
	if len(w.queue) == 0 {
		w.mu.Unlock()
		return nil
	}
	l := w.queue[0]
	w.mu.Unlock()
	err := w.store.write(l)
	w.mu.Lock()
	w.queue[0] = letter{}
	w.queue = w.queue[1:]
	if err != nil {
		w.queue = append(w.queue, l)
	}
	w.mu.Unlock()
	if err == nil {
		w.gauge.Dec()
		w.inflight.setWaiting(l.Stream, -1)
		wire.Signal(w.written)
	}
	return err
}

// flush writes what waits, trying for wire.WriteTimeout; for a member that leaves. The
// rest stays pending for others.
func (w *deadLetterWriter) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), wire.WriteTimeout)
	defer cancel()
	for attempt := 1; ctx.Err() == nil && w.busy(); attempt++ {
		if w.next() == nil {
			attempt = 0
			continue
		}
		wire.Pause(ctx, wire.Backoff(attempt, 20*time.Millisecond, time.Second, wire.Jitter))
	}
}
