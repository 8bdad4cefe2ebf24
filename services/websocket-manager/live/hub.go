package live

import (
	"context"
	"sync"
	"time"
)

const (
	// ringItems is how far behind a watch may be and still be served from memory, shared by all.
	ringItems = 256
	// lookEvery bounds how late an event is when its announcement was lost.
	lookEvery = 5 * time.Second
	// retryEvery is the pause after Redis did not answer.
	retryEvery = 500 * time.Millisecond
)

// hub follows one workflow for all its watches on this replica. One goroutine reads; watches pull.
type hub struct {
	workflowID string
	store      *store
	woken      chan struct{} // capacity 1: a signal, not a queue
	now        func() time.Time

	mu      sync.Mutex
	started bool // subscribed and read once: the cursor means something
	seq     sequence
	ring    []Item // the latest of what was told, contiguous, ending at seq.at
	watches map[*Watch]struct{}
}

func newHub(workflowID string, s *store, patience time.Duration) *hub {
	return &hub{
		workflowID: workflowID, store: s, woken: make(chan struct{}, 1), now: time.Now,
		seq: sequence{patience: patience}, watches: map[*Watch]struct{}{},
	}
}

// wake makes the hub read; from any goroutine, without waiting.
func (h *hub) wake() {
	select {
	case h.woken <- struct{}{}:
	default:
	}
}

// run reads until ctx ends. The first wake comes when the subscription is confirmed.
func (h *hub) run(ctx context.Context) {
	for {
		next := lookEvery
		h.mu.Lock()
		if d := h.seq.deadline(); !d.IsZero() {
			next = min(next, max(d.Sub(h.now()), 0))
		}
		started := h.started
		h.mu.Unlock()
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-h.woken:
		case <-timer.C:
			if !started {
				continue // not subscribed yet: what is read now could be followed by a hole
			}
		}
		timer.Stop()
		for h.read(ctx) != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(retryEvery):
			}
		}
	}
}

// read takes everything new out of the log and tells the watches.
func (h *hub) read(ctx context.Context) error {
	if err := h.start(ctx); err != nil {
		return err
	}
	for {
		h.mu.Lock()
		at := h.seq.at
		h.mu.Unlock()
		page, whole, err := h.store.page(ctx, h.workflowID, at, 0)
		if err != nil {
			return err
		}
		h.mu.Lock()
		out := h.seq.advance(page, h.now())
		if whole {
			out = append(out, h.seq.vanished(h.now())...)
		}
		holed := !h.seq.deadline().IsZero()
		h.tell(out)
		at = h.seq.at
		h.mu.Unlock()
		if holed { // what was trimmed away is not waited for
			floor, err := h.store.floor(ctx, h.workflowID)
			if err != nil {
				return err
			}
			if floor > at+1 {
				h.mu.Lock()
				h.tell(h.seq.skip(floor))
				h.mu.Unlock()
				continue
			}
			return nil
		}
		if whole {
			return nil
		}
	}
}

// start sets the cursor: where the first watch is, but not beyond what the log holds.
func (h *hub) start(ctx context.Context) error {
	h.mu.Lock()
	started := h.started
	h.mu.Unlock()
	if started {
		return nil
	}
	last, err := h.store.last(ctx, h.workflowID)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at := last
	for w := range h.watches {
		at = min(at, w.at)
	}
	h.seq.at, h.seq.known, h.started = at, last, true
	for w := range h.watches {
		w.signal()
	}
	return nil
}

// tell adds to the ring and signals. The caller holds the lock.
func (h *hub) tell(items []Item) {
	if len(items) == 0 {
		return
	}
	h.ring = append(h.ring, items...)
	if over := len(h.ring) - ringItems; over > 0 {
		h.ring = append([]Item(nil), h.ring[over:]...) // a new array: the old one's frames can go
	}
	for w := range h.watches {
		w.signal()
	}
}
