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

// TestNoisyType: one type comes at a hundred times the rate of another and at more
// than its group can handle, so that what waits grows all the time. First come, first
// served, a quiet event would see as many of the noisy one handled before it as were
// waiting when it came; it overtakes them, however events are written.
func TestNoisyType(t *testing.T) {
	for _, perEntry := range []int{1, 32} {
		t.Run(fmt.Sprint(perEntry, " in an entry"), func(t *testing.T) { noisyType(t, perEntry) })
	}
}

func noisyType(t *testing.T, perEntry int) {
	const quietRate, handling = 20, 10 * time.Millisecond // two members of eight handlers: 1,600 events/s
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	l := ledger.New("writers")
	s := &sink{l: l, group: "writers"}
	o := overtaking{came: make(map[string]int64)}
	handle := func(ctx context.Context, m consumer.Message) error {
		o.begins(m)
		select { // what a sink takes
		case <-time.After(handling):
		case <-ctx.Done():
			return ctx.Err()
		}
		return s.handle(ctx, m)
	}
	for range 2 {
		consume(t, open(t, bus.Config{URL: srv.URL}, nil), consumer.Subscription{Group: "writers", Concurrency: 8, Handle: handle})
	}
	b, noise := open(t, bus.Config{URL: srv.URL, EventsPerEntry: perEntry}, nil), open(t, bus.Config{URL: srv.URL, EventsPerEntry: perEntry}, nil)
	servertest.Eventually(t, 10*time.Second, settled(b, "writers"))

	n := rounds(100, 400)
	ld := startLoad(t, l, noise, 100*quietRate)
	servertest.Eventually(t, time.Minute, func() error {
		if waiting := o.waiting(ld); waiting < 1000 {
			return fmt.Errorf("%d of the noisy type wait; want more than a member holds", waiting)
		}
		return nil
	})
	tick := time.NewTicker(time.Second / quietRate)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		e, err := events.New(events.WorkflowStarted, fmt.Sprint("quiet-", i), "chaos", &events.WorkflowStartedData{Stage: events.Audit})
		if err != nil {
			t.Fatal(err)
		}
		o.comes(e.ID, ld)
		if _, err := l.Publish(t.Context(), b, e); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Eventually(t, time.Minute, o.begun(n))
	ld.stop()
	recovery := recovered(t, time.Now(), 2*time.Minute, b, "writers")
	passed, waited := o.sums()
	t.Logf("before a quiet event %d of the noisy type were handled in the mean; %d were waiting when it came", passed/int64(n), waited/int64(n))
	if passed > waited/2 {
		t.Errorf("before %d quiet events %d of the noisy type were handled, of %d that were waiting: the quiet ones wait their turn behind them", n, passed, waited)
	}
	balanced(t, fmt.Sprintf("one type at a hundred times the load, %d in an entry", perEntry), 1, l, recovery)
}

// overtaking counts how many of the noisy type are handled between the coming of a
// quiet event and its turn.
type overtaking struct {
	mu             sync.Mutex
	noisy          int64 // handlers begun
	came           map[string]int64
	quiet          int
	passed, waited int64
}

func (o *overtaking) waiting(ld *load) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return ld.sent.Load() - o.noisy
}

// comes takes note that a quiet event is about to be published.
func (o *overtaking) comes(id string, ld *load) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.came[id] = o.noisy
	o.waited += ld.sent.Load() - o.noisy
}

func (o *overtaking) begins(m consumer.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, quiet := o.came[m.Event.ID]
	switch {
	case quiet:
		delete(o.came, m.Event.ID)
		o.quiet++
		o.passed += o.noisy - at
	case m.Event.Type == events.WorkflowProgressed:
		o.noisy++
	}
}

func (o *overtaking) begun(n int) func() error {
	return func() error {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.quiet < n {
			return fmt.Errorf("%d of %d quiet events were handled", o.quiet, n)
		}
		return nil
	}
}

func (o *overtaking) sums() (passed, waited int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.passed, o.waited
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
	apply := func(ctx context.Context, m consumer.Message) error {
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
			handle = func(ctx context.Context, m consumer.Message) error {
				select {
				case <-release:
					return apply(ctx, m)
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		consume(t, open(t, bus.Config{URL: url}, nil), consumer.Subscription{Group: "writers", Prefetch: 100, HandlerTimeout: 2 * time.Minute, Handle: handle})
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
