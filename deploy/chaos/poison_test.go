package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

// TestPoison: some events make the handler panic, some make it never return. They
// become dead letters after the limit; the others are handled meanwhile.
func TestPoison(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	l := ledger.New("writers")
	s := &sink{l: l, group: "writers"}
	b := open(t, bus.Config{URL: srv.URL}, nil)
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	consume(t, b, consumer.Subscription{Group: "writers", MaxDeliveries: 2, HandlerTimeout: time.Second, BackoffMax: 200 * time.Millisecond,
		Handle: func(ctx context.Context, m consumer.Message) error {
			switch kind, _, _ := strings.Cut(m.Event.WorkflowID, "-"); kind {
			case "panics":
				panic("poison")
			case "hangs":
				<-forever // whatever becomes of ctx
				return nil
			}
			return s.handle(ctx, m)
		}})
	const events, bad = 1000, 8 // of each kind
	for i := range events {
		workflow := fmt.Sprint("wf-", i)
		switch {
		case i < bad:
			workflow = fmt.Sprint("hangs-", i)
		case i < 2*bad:
			workflow = fmt.Sprint("panics-", i)
		}
		if _, err := l.Publish(t.Context(), b, event(t, workflow, i)); err != nil {
			t.Fatal(err)
		}
	}
	since := time.Now()
	servertest.Eventually(t, 5*time.Second, func() error { // before the first hanging handler is given up
		if n := l.Effects("writers"); n != events-2*bad {
			return fmt.Errorf("%d of %d neighbours were handled", n, events-2*bad)
		}
		return nil
	})
	recovery := recovered(t, since, 30*time.Second, b, "writers")
	classes := make(map[string]int)
	for _, d := range letters(t, l, b, "writers") {
		classes[d.Class]++
		if d.Attempts != 2 {
			t.Errorf("letter %s after %d attempts; want 2", d.ID, d.Attempts)
		}
	}
	if classes["panic"] != bad || classes["timeout"] != bad {
		t.Errorf("dead letters by class %v; want %d of panic and of timeout", classes, bad)
	}
	balanced(t, "poison: panics, never returns", 1, l, recovery)
}

// TestReplayTwice: a thousand dead letters are replayed by two operators at once.
// Each has one effect.
func TestReplayTwice(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	l := ledger.New("writers")
	s := &sink{l: l, group: "writers"}
	b := open(t, bus.Config{URL: srv.URL}, nil)
	var mended atomic.Bool
	for range 2 {
		consume(t, open(t, bus.Config{URL: srv.URL}, nil), consumer.Subscription{Group: "writers", Handle: func(ctx context.Context, m consumer.Message) error {
			if !mended.Load() {
				return consumer.Permanent(errors.New("not yet mended"))
			}
			return s.handle(ctx, m)
		}})
	}
	const events = 1000
	for i := range events {
		if _, err := l.Publish(t.Context(), b, event(t, fmt.Sprint("wf-", i%20), i)); err != nil {
			t.Fatal(err)
		}
	}
	recovered(t, time.Now(), 30*time.Second, b, "writers")
	found, err := inspect.New(b).DeadLetters(t.Context(), "writers", inspect.DeadLetterFilter{Limit: 2 * events})
	if err != nil || len(found) != events {
		t.Fatalf("%d dead letters, %v; want %d", len(found), err, events)
	}
	mended.Store(true)
	since := time.Now()
	var replayed, gone atomic.Int64
	var operators sync.WaitGroup
	for range 2 {
		operators.Go(func() {
			for _, d := range found {
				switch err := inspect.New(b).Replay(context.Background(), "writers", d.ID, "chaos"); {
				case err == nil:
					replayed.Add(1)
				case errors.Is(err, inspect.ErrNotFound):
					gone.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	operators.Wait()
	recovery := recovered(t, since, 30*time.Second, b, "writers")
	if replayed.Load() != events || gone.Load() != events {
		t.Errorf("%d replayed, %d found gone; want each letter once", replayed.Load(), gone.Load())
	}
	balanced(t, "1,000 dead letters replayed twice", 2, l, recovery)
}
