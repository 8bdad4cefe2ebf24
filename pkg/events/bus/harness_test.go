package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// open returns a Bus of its own prefix on the shared server, or on url, with
// quick background duties.
func open(t testing.TB, cfg Config) *Bus {
	t.Helper()
	if cfg.URL == "" {
		cfg.URL = servertest.Redis(t)
	}
	if cfg.Prefix == "" {
		cfg.Prefix = servertest.Prefix(t)
	}
	cfg.Log = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.rhythm = rhythm{beat: 50 * time.Millisecond, look: 100 * time.Millisecond, tidy: 100 * time.Millisecond}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// event makes an event of a workflow.
func event(t testing.TB, workflow string, percent int) events.Event {
	t.Helper()
	e, err := events.New(events.WorkflowProgressed, workflow, "tester",
		&events.WorkflowProgressedData{Percent: percent, Stage: events.Audit})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// consume runs a subscription until the test ends or stop is called, which waits for the drain.
func consume(t testing.TB, b *Bus, s Subscription) (stop func()) {
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
	go func() { done <- b.Consume(ctx, s) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("consume: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// record collects what handlers saw.
type record struct {
	mu   sync.Mutex
	seen []Message
}

func (r *record) handle(_ context.Context, m Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, m)
	return nil
}

func (r *record) all() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Message(nil), r.seen...)
}

func (r *record) want(n int) func() error {
	return func() error {
		if got := len(r.all()); got != n {
			return fmt.Errorf("%d messages were handled; want %d", got, n)
		}
		return nil
	}
}

// settled wants a group with nothing undelivered and nothing pending.
func settled(t testing.TB, b *Bus, group string) func() error {
	t.Helper()
	return func() error {
		all, err := b.Groups(context.Background())
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

// add puts raw JSON into a stream as another language would.
func add(t testing.TB, b *Bus, typ events.Type, workflow string, fields ...any) string {
	t.Helper()
	args := append([]any{"XADD", b.names.Stream(typ, b.names.Partition(workflow)), "*"}, fields...)
	id, err := b.rdb.Do(context.Background(), args...).Text()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func encode(t testing.TB, e events.Event) string {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
