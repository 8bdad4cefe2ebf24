package live

import (
	"context"
	"time"
)

// Watch is one client's place in one workflow. Next and Lag are for one goroutine at a time.
type Watch struct {
	hub    *hub
	feed   *Feed
	signal func()
	at     int64 // told up to here; guarded by hub.mu
	live   bool  // has been told everything once

	// Reset says that the workflow's numbers began anew since the client last saw it (Redis was lost):
	// it was asked to resume after a number that does not exist, and starts at the first one.
	Reset bool
}

// Next returns what comes next, in order, at most [pageEntries] items; none when the client has been
// told everything: signal is called when there is more. caughtUp is true the first time that happens.
func (w *Watch) Next(ctx context.Context) (items []Item, caughtUp bool, err error) {
	h := w.hub
	h.mu.Lock()
	switch {
	case !h.started:
		h.mu.Unlock()
		return nil, false, nil
	case w.at >= h.seq.at:
		caughtUp = !w.live && h.seq.caughtUp()
		w.live = w.live || caughtUp
		h.mu.Unlock()
		return nil, caughtUp, nil
	case len(h.ring) > 0 && h.ring[0].From <= w.at+1:
		items = w.fromRing()
		h.mu.Unlock()
		return items, false, nil
	}
	at, to := w.at, h.seq.at
	h.mu.Unlock()

	// Too far behind for the ring: this client reads for itself, nobody waits.
	page, whole, err := h.store.page(ctx, h.workflowID, at, to)
	if err != nil {
		return nil, false, err
	}
	items = filled(at, to, page, whole)
	h.mu.Lock()
	w.at = items[len(items)-1].To
	h.mu.Unlock()
	return items, false, nil
}

// fromRing takes what is above w.at; a gap that the client has been told in part is cut.
func (w *Watch) fromRing() []Item {
	var out []Item
	for _, it := range w.hub.ring {
		if it.To <= w.at {
			continue
		}
		it.From = max(it.From, w.at+1)
		out = append(out, it)
		w.at = it.To
		if len(out) == pageEntries {
			break
		}
	}
	return out
}

// At is the number the client has been told up to.
func (w *Watch) At() int64 {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	return w.at
}

// Lag is how many events the client is behind, once it has caught up for the first time: before that it
// is reading the past, which is no fault of its own.
func (w *Watch) Lag() int64 {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if !w.live {
		return 0
	}
	return max(w.hub.seq.at-w.at, 0)
}

// SlowPage is how long a client may take for what it is given at once.
const SlowPage = time.Second

// Slow reports whether a client that began to be given a page then, and has it now, is too slow: it took
// longer than [SlowPage], and is more than most events behind by now. How much came at once is not held
// against it: a batch of any size puts everybody behind for a moment.
func (w *Watch) Slow(began time.Time, most int64) bool {
	return time.Since(began) > SlowPage && w.Lag() > most
}

// Close ends the watch. The hub of a workflow that nobody watches ends with it.
func (w *Watch) Close() { w.feed.release(w) }
