// Package bustest is what the tests of the bus's packages share: a bus of its own on a
// real Redis, members that record what they handle, members that died.
package bustest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
	"agentbus/pkg/events/bus/internal/wire"
)

// Quick is how often the background duties run in tests.
var Quick = wire.Intervals{Heartbeat: 50 * time.Millisecond, Check: 100 * time.Millisecond, Trim: 100 * time.Millisecond}

// Open returns a Bus of its own prefix on the shared server, or on the one that cfg
// names, with quick background duties.
func Open(t testing.TB, cfg bus.Config) *bus.Bus {
	t.Helper()
	if cfg.URL == "" {
		cfg.URL = servertest.Redis(t)
	}
	if cfg.Prefix == "" {
		cfg.Prefix = servertest.Prefix(t)
	}
	cfg.Log = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	b, err := bus.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Wire().Intervals = Quick
	configs.Store(b, cfg)
	t.Cleanup(func() {
		configs.Delete(b)
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

var configs sync.Map // *bus.Bus to bus.Config

// Another returns one more Bus to where b stands, as another process would have it.
func Another(t testing.TB, b *bus.Bus) *bus.Bus {
	t.Helper()
	was, _ := configs.Load(b)
	cfg, _ := was.(bus.Config)
	return Open(t, bus.Config{URL: cfg.URL, Prefix: cfg.Prefix, Partitions: cfg.Partitions})
}

// Event makes an event of a workflow.
func Event(t testing.TB, workflow string, percent int) events.Event {
	t.Helper()
	e, err := events.New(events.WorkflowProgressed, workflow, "tester",
		&events.WorkflowProgressedData{Percent: percent, Stage: events.Audit})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Encode is an event as it stands on the wire.
func Encode(t testing.TB, e events.Event) string {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Add puts an entry into a stream as another language would.
func Add(t testing.TB, b *bus.Bus, typ events.Type, workflow string, fields ...any) (id string) {
	t.Helper()
	args := append([]any{"XADD", b.Names().Stream(typ, b.Names().Partition(workflow)), "*"}, fields...)
	id, err := b.Client().Do(context.Background(), args...).Text()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Consume runs a subscription, of the group readers where it names none, until the test
// ends or stop is called, which waits for the drain.
func Consume(t testing.TB, b *bus.Bus, s consumer.Subscription) (stop func()) {
	t.Helper()
	if s.Group == "" {
		s.Group = "readers"
	}
	if s.Types == nil {
		s.Types = []events.Type{events.WorkflowProgressed, events.WorkflowStarted}
	}
	if s.BackoffMin == 0 {
		s.BackoffMin, s.BackoffMax = time.Millisecond, 5*time.Millisecond
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

// Record collects what handlers saw.
type Record struct {
	mu   sync.Mutex
	seen []consumer.Message
}

// Handle is a handler that takes note.
func (r *Record) Handle(_ context.Context, m consumer.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, m)
	return nil
}

// All are the messages so far.
func (r *Record) All() []consumer.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]consumer.Message(nil), r.seen...)
}

// Want is a condition: n messages were handled.
func (r *Record) Want(n int) func() error {
	return func() error {
		if got := len(r.All()); got != n {
			return fmt.Errorf("%d messages were handled; want %d", got, n)
		}
		return nil
	}
}

// Settled is a condition: a group with nothing undelivered and nothing pending.
func Settled(t testing.TB, b *bus.Bus, group string) func() error {
	t.Helper()
	look := inspect.New(b)
	return func() error {
		all, err := look.Groups(context.Background())
		if err != nil {
			return err
		}
		for _, g := range all {
			if g.Group == group {
				if g.Lag+g.Pending > 0 {
					return fmt.Errorf("%s has lag %d, pending %d", group, g.Lag, g.Pending)
				}
				return nil
			}
		}
		return errors.New("no group " + group)
	}
}

// DeadMember is the name of the member that [Dead] makes.
const DeadMember = "dead-member"

// Dead has a member join a group, with a lease, read n progress events of each
// partition, none when n is 0, and never come back.
func Dead(t testing.TB, b *bus.Bus, group string, n int) {
	t.Helper()
	was, _ := configs.Load(b)
	cfg, _ := was.(bus.Config)
	cfg.Member, cfg.Metrics = DeadMember, nil
	conn := Open(t, cfg).Wire()
	types := []string{string(events.WorkflowProgressed), string(events.WorkflowStarted)}
	for part := range b.Names().Parts() {
		progress := b.Names().Stream(events.WorkflowProgressed, part)
		streams := []string{progress, b.Names().Stream(events.WorkflowStarted, part), b.Names().Replays(group, part)}
		if _, err := conn.Join(t.Context(), group, part, types, streams, "dead:1", "0"); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			continue
		}
		res, err := b.Client().Do(t.Context(), "XREADGROUP", "GROUP", group, DeadMember, "COUNT", n, "STREAMS", progress, ">").Result()
		if err != nil || res == nil {
			t.Fatalf("the dead member read nothing: %v", err)
		}
	}
}

// Metric is the value of agentbus_bus_<name> in the registry that b was opened with,
// summed over its labels; 0 when there is none.
func Metric(t testing.TB, b *bus.Bus, name string) int {
	t.Helper()
	registry, ok := b.Wire().Metrics.(*prometheus.Registry)
	if !ok {
		t.Fatal("the bus was opened without a registry")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "agentbus_bus_"+name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return int(sum)
}
