package consumer

import (
	"context"
	"sync"
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// acknowledger writes acknowledgements in batches: while one batch is under way, and for
// a moment, the next gathers. It keeps trying, since what is not acknowledged would be
// done again.
type acknowledger struct {
	group     *group
	inflight  *inflight
	gather    time.Duration
	redisDown *wire.Condition

	mu    sync.Mutex
	queue []wire.EntryKey
	spare []wire.EntryKey               // what the latest batch was kept in, for the next one's
	steps []func(context.Context) error // see do
	wake  chan struct{}

	sending sync.Mutex // one batch at a time
}

func newAcknowledger(g *group, f *inflight, gather time.Duration, redisDown *wire.Condition) *acknowledger {
	return &acknowledger{group: g, inflight: f, gather: gather, redisDown: redisDown, wake: make(chan struct{}, 1)}
}

// add has an entry acknowledged, and then let go of.
func (a *acknowledger) add(k wire.EntryKey) {
	a.mu.Lock()
	a.queue = append(a.queue, k)
	a.mu.Unlock()
	wire.Signal(a.wake)
}

// do has a step written along with the acknowledgements that acknowledges in a way of
// its own; it is repeated while it fails.
func (a *acknowledger) do(step func(context.Context) error) {
	a.mu.Lock()
	a.steps = append(a.steps, step)
	a.mu.Unlock()
	wire.Signal(a.wake)
}

// sourceAck is the acknowledger's among the sources of a condition, besides the partitions.
const sourceAck = -1

// run writes what comes until ctx ends.
func (a *acknowledger) run(ctx context.Context) {
	for attempt := 1; ; {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		wire.Pause(ctx, 2*a.gather)
		for ctx.Err() == nil {
			err := a.send()
			if a.redisDown.Set(sourceAck, err); err == nil {
				attempt = 1
				break
			}
			wire.Pause(ctx, wire.Backoff(attempt, 20*time.Millisecond, time.Second, wire.Jitter))
			attempt++
		}
	}
}

// flush writes what is queued now, trying for wire.WriteTimeout.
func (a *acknowledger) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), wire.WriteTimeout)
	defer cancel()
	for attempt := 1; ctx.Err() == nil; attempt++ {
		if a.send() == nil {
			return
		}
		wire.Pause(ctx, wire.Backoff(attempt, 20*time.Millisecond, time.Second, wire.Jitter))
	}
}

// send writes everything queued, one XACK a stream and then the steps, with a time-out
// of its own: shutdown does not cancel it. On error the rest is queued again.
func (a *acknowledger) send() error {
	a.sending.Lock()
	defer a.sending.Unlock()
	a.mu.Lock()
	batch, steps := a.queue, a.steps
	a.queue, a.spare, a.steps = a.spare[:0], nil, nil
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), wire.WriteTimeout)
	defer cancel()
	err := a.acknowledge(ctx, batch)
	acknowledged := err == nil
	for err == nil && len(steps) > 0 {
		if err = steps[0](ctx); err == nil {
			steps = steps[1:]
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.steps = append(steps, a.steps...)
	if acknowledged {
		a.spare = batch
	} else {
		a.queue = append(batch, a.queue...)
	}
	return err
}

func (a *acknowledger) acknowledge(ctx context.Context, batch []wire.EntryKey) error {
	if len(batch) == 0 {
		return nil
	}
	ids := make(map[string][]string)
	for _, k := range batch {
		ids[k.Stream] = append(ids[k.Stream], k.ID)
	}
	pipe := a.group.conn.Redis.Pipeline()
	for stream, list := range ids {
		pipe.XAck(ctx, stream, a.group.name, list...)
	}
	if _, err := pipe.Exec(ctx); err != nil && wire.Transient(err) {
		return err
	}
	a.inflight.remove(batch...)
	return nil
}
