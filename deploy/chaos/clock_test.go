package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

// TestClocksJump: one producer's clock is five minutes slow, another's five
// minutes fast; Redis' own jumps an hour ahead and two back, while handlers hold
// entries. Nothing is claimed from a living member, nothing unacknowledged is
// trimmed, no age is negative.
func TestClocksJump(t *testing.T) {
	long(t)
	shim := startShimmed(t, nil)
	l := ledger.New("writers")
	s := &sink{l: l, group: "writers"}
	release := make(chan struct{})
	handle := func(ctx context.Context, m consumer.Message) error {
		select {
		case <-release:
			return s.handle(ctx, m)
		case <-ctx.Done():
			t.Errorf("the handler of %s was cancelled: %v", m.Event.ID, context.Cause(ctx))
			return context.Cause(ctx)
		}
	}
	reg := prometheus.NewRegistry()
	var b *bus.Bus
	for i := range 2 {
		cfg := bus.Config{URL: shim.srv.URL, Retention: "1s"}
		if i == 0 {
			cfg.Metrics = reg
		}
		b = open(t, cfg, nil)
		consume(t, b, consumer.Subscription{Group: "writers", Prefetch: 50, HandlerTimeout: 5 * time.Minute, Handle: handle})
	}
	admin := client(t, shim.srv.URL)
	published := 0
	for _, shift := range []time.Duration{0, time.Hour, -time.Hour} {
		shim.shiftClock(t, shift)
		if now, err := admin.Time(t.Context()).Result(); err != nil || time.Until(now.Add(-shift)).Abs() > time.Minute {
			t.Fatalf("the server's clock is at %v, %v; want it off by %v", now, err, shift)
		}
		for i := range 100 {
			e := event(t, fmt.Sprint("wf-", i%20), i)
			e.Timestamp = e.Timestamp.Add([]time.Duration{-5 * time.Minute, 5 * time.Minute}[i%2])
			if _, err := l.Publish(t.Context(), b, e); err != nil {
				t.Fatal(err)
			}
			published++
		}
		// Longer than a member needs to be taken for dead, or the stream to be trimmed.
		hold(t, claimTime)
		groups, err := inspect.New(b).Groups(t.Context())
		if err != nil || len(groups) != 1 || groups[0].OldestAge < 0 {
			t.Errorf("clock off by %v: groups %+v, %v; want one, of an age that is not negative", shift, groups, err)
		}
		if n := admin.XLen(t.Context(), b.Names().Stream("workflow.progressed", 0)).Val(); n != int64(published) {
			t.Errorf("clock off by %v: the stream has %d entries; want all %d, none is acknowledged", shift, n, published)
		}
		if n := metric(t, reg, "agentbus_bus_claimed_total", nil); n > 0 {
			t.Errorf("clock off by %v: %v entries were claimed from a living member", shift, n)
		}
	}
	close(release)
	since := time.Now()
	servertest.Eventually(t, 30*time.Second, settled(b, "writers"))
	balanced(t, "clocks jump", 3, l, time.Since(since))
}
