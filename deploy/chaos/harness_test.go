package chaos

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

// claimTime is how long a dead member's entries may stay where they are: three
// looks of 5 s after the one that saw its lease, rounded up.
const claimTime = 25 * time.Second

// open opens a bus, closed at the end of the test; its log goes to logs or is dropped.
func open(t testing.TB, cfg bus.Config, logs *logbook) *bus.Bus {
	t.Helper()
	cfg.Log = zerolog.Nop()
	if logs != nil {
		cfg.Log = zerolog.New(logs)
	}
	b, err := bus.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// consume makes b a member of a group until stop or the end of the test.
func consume(t testing.TB, b *bus.Bus, s consumer.Subscription) (stop func()) {
	t.Helper()
	if s.Types == nil {
		s.Types = []events.Type{events.WorkflowProgressed, events.WorkflowStarted}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- consumer.Run(ctx, b, s) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("consume: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// client is a plain connection, for what no bus would do.
func client(t testing.TB, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func event(t testing.TB, workflow string, percent int) events.Event {
	t.Helper()
	e, err := events.New(events.WorkflowProgressed, workflow, "chaos",
		&events.WorkflowProgressedData{Percent: percent % 101, Stage: events.Audit})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// sink is where a group's effects go. With once it does what a table with a
// unique event id does: a repeat has no effect.
type sink struct {
	l     *ledger.Ledger
	group string
	once  bool

	mu      sync.Mutex
	seen    map[string]bool
	repeats int
}

func (s *sink) handle(_ context.Context, m consumer.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	if s.seen[m.Event.ID] {
		s.repeats++
		if s.once {
			return nil
		}
	}
	s.seen[m.Event.ID] = true
	s.l.Effect(s.group, m.Event.ID)
	return nil
}

// settled wants groups with nothing undelivered and nothing pending.
func settled(b *bus.Bus, groups ...string) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		all, err := inspect.New(b).Groups(ctx)
		if err != nil {
			return err
		}
		found := 0
		for _, g := range all {
			for _, want := range groups {
				if g.Group != want {
					continue
				}
				found++
				if g.Lag+g.Pending > 0 {
					return fmt.Errorf("%s has lag %d, pending %d", g.Group, g.Lag, g.Pending)
				}
			}
		}
		if found != len(groups) {
			return fmt.Errorf("%d groups of %v are there", found, groups)
		}
		return nil
	}
}

// balanced reports the books and fails the test when they do not balance.
func balanced(t testing.TB, fault string, runs int, l *ledger.Ledger, recovery time.Duration) {
	t.Helper()
	r := l.Report()
	report(t, fault, runs, r, recovery)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

// letters writes a group's dead letters into the ledger.
func letters(t testing.TB, l *ledger.Ledger, b *bus.Bus, group string) []inspect.DeadLetter {
	t.Helper()
	found, err := inspect.New(b).DeadLetters(t.Context(), group, inspect.DeadLetterFilter{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		l.DeadLetter(group, d.EventID)
	}
	return found
}

// logbook counts log lines.
type logbook struct {
	mu    sync.Mutex
	lines [][]byte
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, bytes.Clone(p))
	return len(p), nil
}

func (l *logbook) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.Join(l.lines, nil))
}

// metric is the sum of a counter over its labels that match, e.g. {"group": "writers"}.
func metric(t testing.TB, reg *prometheus.Registry, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			match := true
			for _, l := range m.GetLabel() {
				if want, ok := labels[l.GetName()]; ok && want != l.GetValue() {
					match = false
				}
			}
			if match {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// hold lets a fault last.
func hold(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal("the test ended during the fault")
	}
}

// recovered waits until the groups have handled all and returns how long it took since then.
func recovered(t testing.TB, since time.Time, limit time.Duration, b *bus.Bus, groups ...string) time.Duration {
	t.Helper()
	servertest.Eventually(t, limit, settled(b, groups...))
	return time.Since(since)
}

// had wants an event to have had its effect in every group.
func had(l *ledger.Ledger, id string) func() error {
	return func() error {
		for _, g := range l.Report().Groups {
			if slices.Contains(g.Lost, id) {
				return fmt.Errorf("%s: event %s had no effect", g.Group, id)
			}
		}
		return nil
	}
}
