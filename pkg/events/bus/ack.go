package bus

import (
	"context"
	"sync"
	"time"
)

// acker writes acknowledgements in batches: while one batch is under way, and for
// a moment, the next gathers. It keeps trying, since what is not acknowledged would be done again.
type acker struct {
	t     *tenure
	mu    sync.Mutex
	queue []*delivery
	packs []*pack // to be taken apart
	wake  chan struct{}

	sending sync.Mutex // one batch at a time

	undertaker *undertaker // for what is not acknowledged without its letter
}

func newAcker(t *tenure) *acker {
	return &acker{t: t, wake: make(chan struct{}, 1), undertaker: newUndertaker(t)}
}

func (a *acker) add(d *delivery) {
	a.mu.Lock()
	a.queue = append(a.queue, d)
	a.mu.Unlock()
	signal(a.wake)
}

// takeApart has those events of a pack leave it that were not handled; all are settled.
func (a *acker) takeApart(p *pack) {
	a.mu.Lock()
	a.packs = append(a.packs, p)
	a.mu.Unlock()
	signal(a.wake)
}

// run writes what comes until ctx ends, and has the undertaker write letters.
func (a *acker) run(ctx context.Context) {
	var letters sync.WaitGroup
	letters.Go(func() { a.undertaker.run(ctx) })
	defer letters.Wait()
	for attempt := 1; ; {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		pause(ctx, 2*a.t.sub.Gather)
		for ctx.Err() == nil {
			err := a.send()
			if a.t.redisDown.set(acking, err); err == nil {
				attempt = 1
				break
			}
			pause(ctx, backoff(attempt, 20*time.Millisecond, time.Second, jitter))
			attempt++
		}
	}
}

// flush writes what is queued now, trying for ackPatience.
func (a *acker) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), ackPatience)
	defer cancel()
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := a.send()
		if err == nil {
			return
		}
		pause(ctx, backoff(attempt, 20*time.Millisecond, time.Second, jitter))
	}
}

// send acknowledges everything queued, one XACK a stream, and takes packs apart, with
// a time-out of its own: shutdown does not cancel it. On error the rest is queued again.
func (a *acker) send() error {
	a.sending.Lock()
	defer a.sending.Unlock()
	a.mu.Lock()
	batch, packs := a.queue, a.packs
	a.queue, a.packs = nil, nil
	a.mu.Unlock()
	err := a.acknowledge(batch)
	if err == nil {
		batch = nil
		for err == nil && len(packs) > 0 {
			if err = a.t.apart(packs[0]); err == nil {
				packs = packs[1:]
			}
		}
	}
	a.mu.Lock()
	a.queue, a.packs = append(batch, a.queue...), append(packs, a.packs...)
	a.mu.Unlock()
	return err
}

func (a *acker) acknowledge(batch []*delivery) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), ackPatience)
	defer cancel()
	ids := make(map[string][]string)
	for _, d := range batch {
		ids[d.Stream] = append(ids[d.Stream], d.EntryID)
	}
	pipe := a.t.bus.rdb.Pipeline()
	for stream, list := range ids {
		pipe.XAck(ctx, stream, a.t.sub.Group, list...)
	}
	if _, err := pipe.Exec(ctx); err != nil && transient(err) {
		return err
	}
	a.t.hand.remove(batch...)
	return nil
}
