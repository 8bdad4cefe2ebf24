package chaos

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

// TestSlowHandlerKeepsItsPrefetch: handlers run longer than the claim time while
// the rest of a full prefetch waits behind them. No entry is ever run twice, by
// one member or by two at once.
func TestSlowHandlerKeepsItsPrefetch(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	l := ledger.New("writers")
	s := &sink{l: l, group: "writers"}
	var mu sync.Mutex
	running := make(map[string]int)
	slow := time.Now().Add(claimTime + 5*time.Second) // until then nothing returns
	handle := func(ctx context.Context, m consumer.Message) error {
		mu.Lock()
		running[m.Event.ID]++
		if n := running[m.Event.ID]; n > 1 {
			t.Errorf("%s runs %d times at once", m.Event.ID, n)
		}
		mu.Unlock()
		defer func() {
			mu.Lock()
			running[m.Event.ID]--
			mu.Unlock()
		}()
		select {
		case <-time.After(time.Until(slow)):
			return s.handle(ctx, m)
		case <-ctx.Done():
			t.Errorf("%s: the handler was cancelled: %v", m.Event.ID, context.Cause(ctx))
			return context.Cause(ctx)
		}
	}
	var b *bus.Bus
	for range 3 {
		b = open(t, bus.Config{URL: srv.URL}, nil)
		consume(t, b, consumer.Subscription{Group: "writers", Types: []events.Type{events.WorkflowProgressed}, Handle: handle, Concurrency: 4, Prefetch: 50, HandlerTimeout: time.Minute})
	}
	for i := range 200 {
		if _, err := l.Publish(t.Context(), b, event(t, fmt.Sprint("wf-", i), i)); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Eventually(t, 10*time.Second, func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(running) < 12 {
			return fmt.Errorf("%d handlers run; want all 12", len(running))
		}
		return nil
	})
	hold(t, time.Until(slow))
	recovery := recovered(t, slow, 10*time.Second, b, "writers")
	balanced(t, "handler slower than the claim time, prefetch full", 1, l, recovery)
}
