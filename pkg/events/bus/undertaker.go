package bus

import (
	"context"
	"sync"
	"time"
)

// maxShelved bounds the entries whose keys alone are kept: 100 bytes each.
const maxShelved = 100_000

// undertaker keeps the dead letters that Redis does not take, out of memory above
// all, and tries until it does, so that no reader and no worker waits and the good
// entries pass. Up to Prefetch letters are kept whole. Of more than that only the
// keys are kept, on the shelf: they stay pending, and are fetched and judged again
// when the letters before them are written.
type undertaker struct {
	t       *tenure
	refused condition
	wake    chan struct{} // a letter waits
	written chan struct{} // one is written

	mu    sync.Mutex
	queue []letter
	shelf map[entryKey]shelved
}

// shelved is what is known of an entry on the shelf.
type shelved struct{ part, begun int }

func newUndertaker(t *tenure) *undertaker {
	return &undertaker{t: t, wake: make(chan struct{}, 1), written: make(chan struct{}, 1), shelf: make(map[entryKey]shelved),
		refused: condition{log: t.log, bad: "Redis does not take dead letters; their entries stay pending, others are handled", good: "Redis takes dead letters again"}}
}

// busy: letters wait, so that another need not be tried.
func (u *undertaker) busy() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.queue) > 0
}

// take keeps a letter until Redis does.
func (u *undertaker) take(l letter) {
	u.mu.Lock()
	full := len(u.queue) >= u.t.sub.Prefetch
	if !full {
		u.queue = append(u.queue, l)
	}
	u.mu.Unlock()
	if full {
		u.putAside(l)
		return
	}
	u.t.hand.setWaiting(1) // takes no room from others
	signal(u.wake)
}

// putAside lets go of an entry and remembers its key. The handler will be asked
// again, so the attempt that failed is taken back: else some rounds of this would
// make its class a crash.
func (u *undertaker) putAside(l letter) {
	if l.class != "malformed" && l.class != "crash" && !l.condemned {
		l.begun--
		if ours := u.t.count(context.Background(), []*delivery{l.delivery}, 0); len(ours) == 0 {
			l.begun++ // Redis is away: it stays counted there
		}
	}
	u.shelve(l.part, []pending{{l.key(), l.begun - l.carried}})
	u.t.hand.remove(l.delivery)
	signal(u.written) // the queue may have been written meanwhile
}

// keeps reports whether the entry is on the shelf: not stranded.
func (u *undertaker) keeps(k entryKey) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.shelf[k]
	return ok
}

// aside is how many entries are on the shelf.
func (u *undertaker) aside() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.shelf)
}

// run writes what waits until ctx ends.
func (u *undertaker) run(ctx context.Context) {
	for attempt := 1; ; {
		select {
		case <-u.wake:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil && u.busy() {
			err := u.next()
			if u.refused.set(0, err); err == nil {
				attempt = 1
				continue
			}
			pause(ctx, backoff(attempt, 20*time.Millisecond, time.Second, jitter))
			attempt++
		}
	}
}

// next writes the first letter of the queue. One that is refused goes to the end:
// the fault may be its own.
func (u *undertaker) next() error {
	u.mu.Lock()
	if len(u.queue) == 0 {
		u.mu.Unlock()
		return nil
	}
	l := u.queue[0]
	u.mu.Unlock()
	err := u.t.write(l)
	u.mu.Lock()
	u.queue[0] = letter{}
	u.queue = u.queue[1:]
	if err != nil {
		u.queue = append(u.queue, l)
	}
	u.mu.Unlock()
	if err == nil {
		u.t.hand.setWaiting(-1)
		signal(u.written)
	}
	return err
}

// refetch takes entries from the shelf whenever the letters before them are
// written, as far as there is room, until ctx ends.
func (u *undertaker) refetch(ctx context.Context) {
	for {
		select {
		case <-u.written:
		case <-ctx.Done():
			return
		}
		for !u.busy() && u.aside() > 0 {
			if !u.t.gate.awaitOpen(ctx) {
				return
			}
			room := u.t.hand.awaitRoom(ctx)
			if room == 0 {
				return
			}
			part, pend := u.unshelve(min(room, u.t.sub.Prefetch))
			if err := u.t.look.fetch(ctx, part, pend); err != nil {
				u.shelve(part, pend)
				pause(ctx, 100*time.Millisecond)
			}
		}
	}
}

// unshelve takes up to n entries of one partition off the shelf.
func (u *undertaker) unshelve(n int) (part int, pend []pending) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, s := range u.shelf {
		if len(pend) == 0 {
			part = s.part
		}
		if s.part != part {
			continue
		}
		if pend = append(pend, pending{k, s.begun}); len(pend) == n {
			break
		}
	}
	for _, p := range pend {
		delete(u.shelf, p.entryKey)
	}
	return part, pend
}

// shelve remembers entries as far as there is room; others are found as stranded.
func (u *undertaker) shelve(part int, pend []pending) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range pend {
		if len(u.shelf) < maxShelved {
			u.shelf[p.entryKey] = shelved{part, p.begun}
		}
	}
}

// flush writes what waits, trying for ackPatience; for a member that leaves. The
// rest stays pending for others.
func (u *undertaker) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), ackPatience)
	defer cancel()
	for attempt := 1; ctx.Err() == nil && u.busy(); attempt++ {
		if u.next() == nil {
			attempt = 0
			continue
		}
		pause(ctx, backoff(attempt, 20*time.Millisecond, time.Second, jitter))
	}
}

// signal wakes who waits on c, now or at its next look.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
