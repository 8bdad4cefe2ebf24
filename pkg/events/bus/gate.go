package bus

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// gate stops a member while its sink is unavailable. Open, everybody passes. A
// handler's Unavailable shuts it; after a back-off one worker passes as a probe:
// when its batch succeeds the gate opens, else the back-off doubles, up to 5 s.
type gate struct {
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

func newGate(log zerolog.Logger, gauge prometheus.Gauge) *gate {
	return &gate{log: log, gauge: gauge, changed: make(chan struct{})}
}

// enter blocks until a worker may run its batch, as a probe while the sink is
// unavailable; pass is false when ctx has ended before.
func (g *gate) enter(ctx context.Context) (pass, probe bool) {
	for {
		g.mu.Lock()
		wait := time.Until(g.next)
		if !g.down || (!g.probing && wait <= 0) {
			g.probing = g.down
			probe = g.probing
			g.mu.Unlock()
			return true, probe
		}
		if g.probing {
			wait = time.Hour
		}
		changed := g.changed
		g.mu.Unlock()
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

// awaitOpen blocks a reader while the sink is unavailable; false means ctx ended.
func (g *gate) awaitOpen(ctx context.Context) bool {
	for ctx.Err() == nil {
		g.mu.Lock()
		down, changed := g.down, g.changed
		g.mu.Unlock()
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
func (g *gate) report(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cause == nil && !g.down {
		return
	}
	if cause != nil && g.down && !g.probing {
		return // a batch from before the outage; the probe decides
	}
	g.probing = false
	switch {
	case cause == nil:
		g.log.Info().Dur("outage", time.Since(g.since)).Msg("sink is available again; reading goes on")
		g.down, g.tries = false, 0
		g.gauge.Set(0)
	case !g.down:
		g.log.Error().Err(cause).Msg("sink is unavailable; reading stops until a probe succeeds")
		g.down, g.since = true, time.Now()
		g.gauge.Set(1)
		fallthrough
	default:
		g.tries++
		g.next = time.Now().Add(backoff(g.tries, 100*time.Millisecond, 5*time.Second, jitter))
	}
	close(g.changed)
	g.changed = make(chan struct{})
}
