package consumer

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/pkg/events/bus/internal/wire"
)

// breaker is a circuit breaker: it stops a member while its sink is unavailable. A
// handler's Unavailable trips it; after a back-off one worker passes as a probe: when
// its batch succeeds everybody passes again, else the back-off doubles, up to 5 s.
type breaker struct {
	log   zerolog.Logger
	gauge prometheus.Gauge

	mu      sync.Mutex
	down    bool
	probing bool
	tries   int
	next    time.Time     // of the next probe
	since   time.Time     // of the outage
	changed chan struct{} // closed and replaced with each change
}

func newBreaker(log zerolog.Logger, gauge prometheus.Gauge) *breaker {
	return &breaker{log: log, gauge: gauge, changed: make(chan struct{})}
}

// enter blocks until a worker may run its batch, as a probe while the sink is
// unavailable; pass is false when ctx has ended before.
func (b *breaker) enter(ctx context.Context) (pass, probe bool) {
	for {
		b.mu.Lock()
		wait := time.Until(b.next)
		if !b.down || (!b.probing && wait <= 0) {
			b.probing = b.down
			probe = b.probing
			b.mu.Unlock()
			return true, probe
		}
		if b.probing {
			wait = time.Hour
		}
		changed := b.changed
		b.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, false
		}
		timer.Stop()
	}
}

// awaitSink blocks a reader while the sink is unavailable; false means ctx ended.
func (b *breaker) awaitSink(ctx context.Context) bool {
	for ctx.Err() == nil {
		b.mu.Lock()
		down, changed := b.down, b.changed
		b.mu.Unlock()
		if !down {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return false
}

// report tells how a batch that passed went: cause is nil unless the sink was
// unavailable.
func (b *breaker) report(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if cause == nil && !b.down {
		return
	}
	if cause != nil && b.down && !b.probing {
		return // a batch from before the outage; the probe decides
	}
	b.probing = false
	switch {
	case cause == nil:
		b.log.Info().Dur("outage", time.Since(b.since)).Msg("sink is available again; reading goes on")
		b.down, b.tries = false, 0
		b.gauge.Set(0)
	case !b.down:
		b.log.Error().Err(cause).Msg("sink is unavailable; reading stops until a probe succeeds")
		b.down, b.since = true, time.Now()
		b.gauge.Set(1)
		fallthrough
	default:
		b.tries++
		b.next = time.Now().Add(wire.Backoff(b.tries, 100*time.Millisecond, 5*time.Second, wire.Jitter))
	}
	close(b.changed)
	b.changed = make(chan struct{})
}
