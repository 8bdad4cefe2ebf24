package chaos

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/events/bus"
)

// load publishes at a steady rate from several goroutines until it is stopped, and
// writes everything down.
type load struct {
	l        *ledger.Ledger
	t        testing.TB
	stopping chan struct{}
	done     sync.WaitGroup
	sent     atomic.Int64

	mu    sync.Mutex
	acked map[string]time.Time // by event id
}

const publishers = 8

// startLoad publishes perSecond events each second, of ten workflows per publisher.
func startLoad(t testing.TB, l *ledger.Ledger, b *bus.Bus, perSecond int) *load {
	t.Helper()
	ld := &load{l: l, t: t, stopping: make(chan struct{}), acked: make(map[string]time.Time)}
	for p := range publishers {
		ld.done.Go(func() { ld.publish(b, p, time.Second*publishers/time.Duration(perSecond)) })
	}
	t.Cleanup(ld.stop)
	return ld
}

func (ld *load) publish(b *bus.Bus, p int, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ld.stopping:
			return
		case <-tick.C:
		}
		e := event(ld.t, fmt.Sprintf("wf-%d-%d", p, i%10), i)
		_, err := ld.l.Publish(context.Background(), b, e)
		ld.sent.Add(1)
		if err == nil {
			ld.mu.Lock()
			ld.acked[e.ID] = time.Now()
			ld.mu.Unlock()
		}
	}
}

// stop ends the load and waits for the last answers.
func (ld *load) stop() {
	select {
	case <-ld.stopping:
	default:
		close(ld.stopping)
	}
	ld.done.Wait()
}

// reaches wants n events to have been tried.
func (ld *load) reaches(n int64) func() error {
	return func() error {
		if got := ld.sent.Load(); got < n {
			return fmt.Errorf("%d of %d events were published", got, n)
		}
		return nil
	}
}
