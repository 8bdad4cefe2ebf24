package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// TestNoisyType: one type comes at a hundred times the rate of another. The quiet
// one's p99 from publish to handler stays under twice its baseline, measured in
// the same run.
func TestNoisyType(t *testing.T) {
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	l := ledger.New("writers")
	s := &sink{l: l, group: "writers"}
	var mu sync.Mutex
	sent, took := make(map[string]time.Time), []time.Duration(nil)
	handle := func(ctx context.Context, m bus.Message) error {
		if m.Event.Type == events.WorkflowStarted {
			mu.Lock()
			took = append(took, time.Since(sent[m.Event.ID]))
			mu.Unlock()
		}
		return s.handle(ctx, m)
	}
	for range 2 {
		consume(t, open(t, bus.Config{URL: srv.URL}, nil), bus.Subscription{Group: "writers", Handle: handle})
	}
	b, noise := open(t, bus.Config{URL: srv.URL}, nil), open(t, bus.Config{URL: srv.URL}, nil)
	servertest.Eventually(t, 10*time.Second, settled(b, "writers"))

	// quiet publishes events one by one and returns the p99 of their way.
	const perSecond = 20
	quiet := func(n int) time.Duration {
		mu.Lock()
		took = nil
		mu.Unlock()
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for i := range n {
			<-tick.C
			e, err := events.New(events.WorkflowStarted, fmt.Sprint("quiet-", i), "chaos", &events.WorkflowStartedData{Stage: events.Audit})
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			sent[e.ID] = time.Now()
			mu.Unlock()
			if _, err := l.Publish(t.Context(), b, e); err != nil {
				t.Fatal(err)
			}
		}
		servertest.Eventually(t, 30*time.Second, func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(took) < n {
				return fmt.Errorf("%d of %d quiet events were handled", len(took), n)
			}
			return nil
		})
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	n := rounds(200, 600)
	quiet(20) // warm
	alone := quiet(n)
	ld := startLoad(t, l, noise, 100*perSecond)
	servertest.Eventually(t, 10*time.Second, ld.reaches(1000))
	loud := quiet(n)
	ld.stop()
	recovery := recovered(t, time.Now(), 30*time.Second, b, "writers")
	t.Logf("p99 of the quiet type: %v alone, %v beside %d events/s", alone, loud, 100*perSecond)
	// Below a few milliseconds the ratio measures the machine's scheduler.
	if loud > max(2*alone, 20*time.Millisecond) {
		t.Errorf("p99 of the quiet type rose from %v to %v; want at most twice", alone, loud)
	}
	balanced(t, "one type at a hundred times the load", 1, l, recovery)
}

// TestOrderWithSeveralMembers: three members share a group, one of them is cut off
// with entries in hand, so that some move. A sink that goes by seq ends at each
// workflow's last event and never goes back.
func TestOrderWithSeveralMembers(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	p := newProxy(t, srv)
	l := ledger.New("writers")
	s := &sink{l: l, group: "writers", once: true}
	var mu sync.Mutex
	state := make(map[string]int64) // seq by workflow
	applied, late := 0, 0
	apply := func(ctx context.Context, m bus.Message) error {
		mu.Lock()
		if m.Seq > state[m.Event.WorkflowID] {
			state[m.Event.WorkflowID] = m.Seq
			applied++
		} else {
			late++
		}
		mu.Unlock()
		return s.handle(ctx, m)
	}
	release := make(chan struct{})
	for i := range 3 {
		url, handle := srv.URL, apply
		if i == 0 { // holds what it read until it is cut off
			url = p.url
			handle = func(ctx context.Context, m bus.Message) error {
				select {
				case <-release:
					return apply(ctx, m)
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		consume(t, open(t, bus.Config{URL: url}, nil), bus.Subscription{Group: "writers", Prefetch: 100, HandlerTimeout: 2 * time.Minute, Handle: handle})
	}
	b := open(t, bus.Config{URL: srv.URL}, nil)
	last := make(map[string]int64)
	const workflows, each = 40, 50
	for range each {
		var batch []events.Event
		for w := range workflows {
			batch = append(batch, event(t, fmt.Sprint("wf-", w), w))
		}
		receipts, err := l.Publish(t.Context(), b, batch...)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range receipts {
			last[batch[i].WorkflowID] = r.Seq
		}
	}
	since := time.Now()
	p.cut()
	recovery := recovered(t, since, claimTime+15*time.Second, b, "writers")
	p.heal()
	close(release)
	servertest.Eventually(t, 30*time.Second, settled(b, "writers"))
	mu.Lock()
	defer mu.Unlock()
	for w, want := range last {
		if want != each || state[w] != want {
			t.Errorf("%s ended at seq %d; its last is %d, of %d", w, state[w], want, each)
		}
	}
	t.Logf("%d events moved a workflow forward, %d came late", applied, late)
	balanced(t, "order with several members and claims", 1, l, recovery)
}
