package bus

import (
	"context"
	"sync"
)

// hand is what a member holds: the events of every entry read and not yet
// acknowledged, dead-lettered or lost. It bounds reading and tells stranded entries from held
// ones.
type hand struct {
	limit   int
	mu      sync.Mutex
	held    map[entryKey][]*delivery // by entry: one event, or all that share it
	events  int                      // in all
	waiting int                      // of them, waiting for their next attempt; they do not take room
	changed chan struct{}
}

func newHand(limit int) *hand {
	return &hand{limit: limit, held: make(map[entryKey][]*delivery), changed: make(chan struct{}, 1)}
}

// add takes the events of one entry, and returns them, or none when it is held already.
func (h *hand) add(ds []*delivery) []*delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := ds[0].key()
	if _, dup := h.held[k]; dup {
		return nil
	}
	h.held[k] = ds
	h.events += len(ds)
	return ds
}

// remove lets go of the entries of ds.
func (h *hand) remove(ds ...*delivery) {
	h.mu.Lock()
	for _, d := range ds {
		h.events -= len(h.held[d.key()])
		delete(h.held, d.key())
	}
	h.mu.Unlock()
	h.signal()
}

func (h *hand) holds(k entryKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.held[k]
	return ok
}

func (h *hand) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events
}

// packs are those held.
func (h *hand) packs() []*pack {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*pack
	for _, ds := range h.held {
		if ds[0].pack != nil {
			out = append(out, ds[0].pack)
		}
	}
	return out
}

// setWaiting counts an entry in (+1) or out (-1) of those that wait for a retry.
func (h *hand) setWaiting(by int) {
	h.mu.Lock()
	h.waiting += by
	h.mu.Unlock()
	h.signal()
}

// room is how many more events may be read. Waiting ones take no room, so
// that failing events do not hold up the others, but only up to four times the
// limit, so that memory stays bounded.
func (h *hand) room() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.limit - h.events + min(h.waiting, 4*h.limit)
}

// awaitRoom blocks until there is room; 0 means that ctx has ended.
func (h *hand) awaitRoom(ctx context.Context) int {
	for {
		if ctx.Err() != nil {
			return 0
		}
		if n := h.room(); n > 0 {
			h.signal() // another partition's reader may wait too
			return n
		}
		select {
		case <-h.changed:
		case <-ctx.Done():
		}
	}
}

func (h *hand) signal() { signal(h.changed) }
