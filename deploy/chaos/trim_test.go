package chaos

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

// trimming is a quick group and one that stands still, on streams with more
// entries than the stalled one holds.
type trimming struct {
	b       *bus.Bus
	l       *ledger.Ledger
	reg     *prometheus.Registry
	logs    *logbook
	release chan struct{} // closed: the stalled group goes on
	held    atomic.Int64
}

const trimEntries = 3000

func startTrimming(t *testing.T, maxEntries int64) *trimming {
	t.Helper()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	s := &trimming{l: ledger.New("quick", "stalled"), reg: prometheus.NewRegistry(), logs: &logbook{}, release: make(chan struct{})}
	s.b = open(t, bus.Config{URL: srv.URL, Retention: "1ms", MaxEntries: maxEntries, Metrics: s.reg}, s.logs)
	quick, stalled := &sink{l: s.l, group: "quick"}, &sink{l: s.l, group: "stalled"}
	consume(t, s.b, consumer.Subscription{Group: "quick", Types: []events.Type{events.WorkflowProgressed}, Handle: quick.handle})
	consume(t, s.b, consumer.Subscription{Group: "stalled", Types: []events.Type{events.WorkflowProgressed}, Prefetch: 200, HandlerTimeout: 10 * time.Minute,
		Handle: func(ctx context.Context, m consumer.Message) error {
			s.held.Add(1)
			select {
			case <-s.release:
				return stalled.handle(ctx, m)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}})
	servertest.Eventually(t, 5*time.Second, settled(s.b, "quick", "stalled"))
	for i := range trimEntries {
		if _, err := s.l.Publish(t.Context(), s.b, event(t, fmt.Sprint("wf-", i%300), i)); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Eventually(t, 30*time.Second, func() error {
		if n := s.l.Effects("quick"); n != trimEntries {
			return fmt.Errorf("the quick group handled %d of %d", n, trimEntries)
		}
		return nil
	})
	return s
}

func (s *trimming) length(t *testing.T, want func(n int64) bool) func() error {
	return func() error {
		n, err := s.b.Client().XLen(t.Context(), s.b.Names().Stream(events.WorkflowProgressed, 0)).Result()
		if err != nil || !want(n) {
			return fmt.Errorf("the stream has %d entries, %w", n, err)
		}
		return nil
	}
}

// TestTrimUnderAStalledGroup: everything is kept, though another group has
// handled it and the retention is over.
func TestTrimUnderAStalledGroup(t *testing.T) {
	t.Parallel()
	s := startTrimming(t, 0)
	// An event of a type nobody reads any more is trimmed: the proof of a round.
	rounds := 0
	other := s.b.Names().Stream(events.WorkflowStarted, 0)
	for ; rounds < 2; rounds++ {
		e, err := events.New(events.WorkflowStarted, "wf-other", "chaos", &events.WorkflowStartedData{Stage: events.Audit})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.b.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		_ = s.b.Client().XGroupCreate(t.Context(), other, "nobody", "$").Err() // it has handled all there is
		if err := s.b.Client().XGroupSetID(t.Context(), other, "nobody", "$").Err(); err != nil {
			t.Fatal(err)
		}
		servertest.Eventually(t, 40*time.Second, func() error {
			if n, err := s.b.Client().XLen(t.Context(), other).Result(); n != 0 || err != nil {
				return fmt.Errorf("%d entries, %w; housekeeping has not come round", n, err)
			}
			return nil
		})
	}
	if err := s.length(t, func(n int64) bool { return n == trimEntries })(); err != nil {
		t.Errorf("%v; want all %d", err, trimEntries)
	}
	close(s.release)
	since := time.Now()
	recovery := recovered(t, since, 30*time.Second, s.b, "quick", "stalled")
	balanced(t, "trimming under a stalled group", rounds, s.l, recovery)
}

// TestTrimByTheHardCap: the cap is below what a stalled group has still to see.
// What it loses is counted exactly and told; the rest is handled and nothing
// stays pending.
func TestTrimByTheHardCap(t *testing.T) {
	t.Parallel()
	s := startTrimming(t, 1000)
	servertest.Eventually(t, 40*time.Second, s.length(t, func(n int64) bool { return n == 1000 }))
	close(s.release)
	since := time.Now()
	recovery := recovered(t, since, 30*time.Second, s.b, "quick", "stalled")
	r := s.l.Report()
	report(t, "trimming by the hard cap", 1, r, recovery)
	for _, g := range r.Groups {
		counted := metric(t, s.reg, "agentbus_bus_lost_to_trim_total", map[string]string{"group": g.Group})
		if int(counted) != len(g.Lost) || len(g.Duplicated)+len(g.Unexpected) > 0 {
			t.Errorf("%s: lost %d, counted as lost to trimming %v, duplicated %d, unexpected %d", g.Group, len(g.Lost), counted, len(g.Duplicated), len(g.Unexpected))
		}
	}
	if len(r.Groups[0].Lost) > 0 || len(r.Groups[1].Lost) == 0 {
		t.Errorf("lost %d and %d; want none of the quick group and some of the stalled", len(r.Groups[0].Lost), len(r.Groups[1].Lost))
	}
	if n := metric(t, s.reg, "agentbus_bus_capped_unacknowledged_total", nil); n != trimEntries-1000 {
		t.Errorf("%v entries counted as removed unacknowledged; want %d", n, trimEntries-1000)
	}
	if !strings.Contains(s.logs.String(), "the hard cap removed entries") {
		t.Error("the log does not tell of the loss")
	}
}
