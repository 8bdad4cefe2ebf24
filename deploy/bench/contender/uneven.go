package contender

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/deploy/bench/workload"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

const (
	// QuietRate is how many events of Quiet are published a second.
	QuietRate = 20
	// NoisyRate is that of the other type. It is more than the group can handle: two
	// members of eight handlers that take 10 ms do 1,600 events/s.
	NoisyRate = 100 * QuietRate

	handling  = 10 * time.Millisecond
	noisyCall = 16   // events of one publish call at least, so that there are some to share an entry
	waiting   = 2000 // noisy events from the start on: more than the members hold at once
)

// Quiet is the type whose events a group is told of, after their handling.
const Quiet = events.WorkflowStarted

const noisy = events.WorkflowProgressed

// ErrKeptUp means that the noisy type was not more than the group handled: little stood in the quiet one's way.
var ErrKeptUp = errors.New("the group kept up with the noisy type")

// UnevenOptions vary it.
type UnevenOptions struct {
	EventsPerEntry int
	Noise          bool // there is a noisy type beside the quiet one
}

// uneven is the bus with one group, whose handlers take their time.
type uneven struct {
	Contender
	noise  *bus.Bus // a publisher of its own, as another service is; nil: none
	stop   context.CancelFunc
	ending chan struct{} // what members still hold is no matter any more

	publishing         sync.WaitGroup
	published, handled atomic.Int64 // of the noisy type
	err                error        // of its publisher, after publishing
}

// Uneven starts it; Setup.Handled is told of the quiet type alone.
func Uneven(ctx context.Context, s Setup, o UnevenOptions) (Contender, error) {
	running, stop := context.WithCancel(ctx)
	u := &uneven{stop: stop, ending: make(chan struct{})}
	var err error
	if u.Contender, err = Agentbus(ctx, s, BusOptions{Members: 2, EventsPerEntry: o.EventsPerEntry, Each: func(e events.Event) { u.handle(e, s.Handled) }}); err != nil {
		stop()
		return nil, err
	}
	if !o.Noise {
		return u, nil
	}
	if u.noise, err = bus.Open(ctx, bus.Config{URL: s.URL, EventsPerEntry: o.EventsPerEntry, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()}); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	next := workload.Source(1000, noisy)
	if err := u.publish(ctx, next, waiting); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	u.publishing.Go(func() { u.err = u.makeNoise(running, next) })
	return u, nil
}

func (u *uneven) handle(e events.Event, handled func(group, n int)) {
	select {
	case <-time.After(handling):
	case <-u.ending:
		return
	}
	if e.Type == Quiet {
		handled(0, workload.Number(e.ID))
	} else {
		u.handled.Add(1)
	}
}

// makeNoise publishes the noisy type until ctx ends. What a slow call has kept back comes with the next one:
// less noise would measure something else.
func (u *uneven) makeNoise(ctx context.Context, next func(int) workload.Event) error {
	tick := time.NewTicker(noisyCall * time.Second / NoisyRate)
	defer tick.Stop()
	begun, before := time.Now(), u.published.Load()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		due := int(time.Since(begun).Seconds()*NoisyRate) - int(u.published.Load()-before)
		if due < noisyCall {
			continue
		}
		if err := u.publish(context.WithoutCancel(ctx), next, due); err != nil {
			return err
		}
	}
}

func (u *uneven) publish(ctx context.Context, next func(int) workload.Event, n int) error {
	batch := make([]workload.Event, n)
	for i := range batch {
		batch[i] = next(int(u.published.Load()) + i)
	}
	u.published.Add(int64(n))
	return publish(ctx, u.noise, batch)
}

// Close says too whether the noise was enough.
func (u *uneven) Close() error {
	var errs []error
	if u.noise != nil {
		if left := u.published.Load() - u.handled.Load(); left < waiting/2 {
			errs = append(errs, fmt.Errorf("%w: %d wait in the end, %d did at the start", ErrKeptUp, left, waiting))
		}
		u.stop()
		u.publishing.Wait()
		errs = append(errs, u.err, u.noise.Close())
	}
	u.stop()
	close(u.ending)
	return errors.Join(append(errs, u.Contender.Close())...)
}
