package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

// TestOutcomes is the table of the design: what the handler says, what the bus does.
func TestOutcomes(t *testing.T) {
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		handle   func(attempt int) error
		attempts int
		letter   string // class of the dead letter, or none
	}{
		"nil acknowledges":             {func(int) error { return nil }, 1, ""},
		"an error is retried":          {func(n int) error { return map[bool]error{true: boom}[n < 3] }, 3, ""},
		"errors up to the limit":       {func(int) error { return boom }, 5, "error"},
		"permanent at once":            {func(int) error { return consumer.Permanent(boom) }, 1, "permanent"},
		"a panic up to the limit":      {func(int) error { panic("ouch") }, 5, "panic"},
		"unavailable is not counted":   {func(n int) error { return map[bool]error{true: consumer.Unavailable(boom)}[n < 4] }, 4, ""},
		"a handler out of time":        {func(int) error { return context.DeadlineExceeded }, 5, "timeout"},
		"wrapped permanent is at once": {func(int) error { return fmt.Errorf("store: %w", consumer.Permanent(boom)) }, 1, "permanent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.Open(t, bus.Config{})
			var calls atomic.Int32
			var good bustest.Record
			bustest.Consume(t, b, consumer.Subscription{Handle: func(ctx context.Context, m consumer.Message) error {
				if m.Event.WorkflowID != "bad" {
					return good.Handle(ctx, m)
				}
				return tc.handle(int(calls.Add(1)))
			}})
			if _, err := b.Publish(t.Context(), bustest.Event(t, "bad", 1), bustest.Event(t, "good", 1)); err != nil {
				t.Fatal(err)
			}
			servertest.Eventually(t, 10*time.Second, good.Want(1))
			servertest.Eventually(t, 10*time.Second, bustest.Settled(t, b, "readers"))
			if got := int(calls.Load()); got != tc.attempts {
				t.Errorf("the handler ran %d times; want %d", got, tc.attempts)
			}
			letters, err := inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tc.letter == "" && len(letters) > 0:
				t.Errorf("a dead letter was written: %+v", letters[0])
			case tc.letter != "" && (len(letters) != 1 || letters[0].Class != tc.letter || letters[0].Attempts != tc.attempts):
				t.Errorf("dead letters %+v; want one of class %s after %d attempts", letters, tc.letter, tc.attempts)
			}
		})
	}
}

func TestMalformedEntriesBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	good := bustest.Encode(t, bustest.Event(t, "wf-1", 1))
	for what, fields := range map[string][]any{
		"not JSON":     {"data", `{"id":`},
		"no data":      {"payload", good},
		"wrong stream": {"data", strings.Replace(good, "workflow.progressed", "audit.started", 1)},
		"unknown type": {"data", strings.Replace(good, "workflow.progressed", "workflow.paused", 1)},
		"too large":    {"data", strings.Repeat("x", events.MaxEventBytes+1)},
	} {
		bustest.Add(t, b, events.WorkflowProgressed, "wf-1", append(fields, "note", what)...)
	}
	bustest.Add(t, b, events.WorkflowProgressed, "wf-1", "data", good)
	var rec bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
	servertest.Eventually(t, 5*time.Second, rec.Want(1))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	letters, err := inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{Class: "malformed"})
	if err != nil || len(letters) != 5 {
		t.Fatalf("%d dead letters, %v; want 5", len(letters), err)
	}
	for _, l := range letters {
		if len(l.Data) == 0 && !strings.Contains(l.Error, "field data") {
			t.Errorf("the entry without data says: %s", l.Error)
		}
		if l.Error == "" || l.Stream == "" || l.EntryID == "" {
			t.Errorf("a dead letter without its circumstances: %+v", l)
		}
	}
}

func TestBatchIsolatesItsPoison(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	var rec bustest.Record
	for i := range 100 {
		if _, err := b.Publish(t.Context(), bustest.Event(t, fmt.Sprint("wf-", i%7), i)); err != nil {
			t.Fatal(err)
		}
	}
	bustest.Consume(t, b, consumer.Subscription{HandleBatch: func(ctx context.Context, batch []consumer.Message) []error {
		errs := make([]error, len(batch))
		for i, m := range batch {
			if strings.Contains(string(m.Raw), `"percent":42,`) {
				errs[i] = consumer.Permanent(errors.New("poison"))
				continue
			}
			_ = rec.Handle(ctx, m)
		}
		return errs
	}})
	servertest.Eventually(t, 5*time.Second, rec.Want(99))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	if letters, _ := inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{}); len(letters) != 1 {
		t.Errorf("%d dead letters; want 1", len(letters))
	}
}

func TestReplayReachesItsGroupAlone(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	var mended atomic.Bool
	var one, two bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Group: "one", Handle: func(ctx context.Context, m consumer.Message) error {
		if !mended.Load() {
			return consumer.Permanent(errors.New("not yet"))
		}
		return one.Handle(ctx, m)
	}})
	bustest.Consume(t, b, consumer.Subscription{Group: "two", Handle: two.Handle})
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	var letters []inspect.DeadLetter
	servertest.Eventually(t, 5*time.Second, func() (err error) {
		if letters, err = inspect.New(b).DeadLetters(t.Context(), "one", inspect.DeadLetterFilter{}); len(letters) == 0 {
			return errors.Join(err, errors.New("no dead letter yet"))
		}
		return err
	})
	mended.Store(true)
	if err := inspect.New(b).Replay(t.Context(), "one", letters[0].ID, "tester"); err != nil {
		t.Fatal(err)
	}
	if err := inspect.New(b).Replay(t.Context(), "one", letters[0].ID, "tester"); !errors.Is(err, inspect.ErrNotFound) {
		t.Errorf("a second replay gave %v; want inspect.ErrNotFound", err)
	}
	servertest.Eventually(t, 5*time.Second, one.Want(1))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "one"))
	if m := one.All()[0]; m.Seq != 1 || m.Attempt != 1 {
		t.Errorf("replayed as seq %d attempt %d; want 1 and 1", m.Seq, m.Attempt)
	}
	if got := len(two.All()); got != 1 {
		t.Errorf("group two saw the event %d times; want once", got)
	}
}

func TestAReplayThatDiesAgainKeepsItsOrigin(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	bustest.Consume(t, b, consumer.Subscription{Handle: func(context.Context, consumer.Message) error { return consumer.Permanent(errors.New("never")) }})
	receipts, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1))
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for range 2 {
		servertest.Eventually(t, 5*time.Second, func() error {
			letters, err := inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{})
			if err != nil || len(letters) != 1 || letters[0].ID == last {
				return fmt.Errorf("%d dead letters, %w; want a new one", len(letters), err)
			}
			if l := letters[0]; l.Stream != receipts[0].Stream || l.EntryID != receipts[0].EntryID {
				t.Errorf("the letter says it stood at %s %s; want %s %s", l.Stream, l.EntryID, receipts[0].Stream, receipts[0].EntryID)
			}
			last = letters[0].ID
			return nil
		})
		if err := inspect.New(b).Replay(t.Context(), "readers", last, "tester"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnavailableIsTakenBackInRedis: a member that is killed while its sink is away must not leave the
// attempts behind that did not count, or the entry runs out of them.
func TestUnavailableIsTakenBackInRedis(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	e := bustest.Event(t, "wf-1", 1)
	if _, err := b.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	bustest.Consume(t, b, consumer.Subscription{Handle: func(context.Context, consumer.Message) error {
		calls.Add(1)
		return consumer.Unavailable(errors.New("away"))
	}})
	servertest.Eventually(t, 10*time.Second, func() error {
		pending, err := b.Client().XPendingExt(t.Context(), &redis.XPendingExtArgs{Stream: b.Names().Stream(e.Type, 0), Group: "readers", Start: "-", End: "+", Count: 10}).Result()
		if err != nil {
			return err
		}
		if calls.Load() < 3 || len(pending) != 1 || pending[0].RetryCount != 0 {
			return fmt.Errorf("after %d calls %+v is pending, want no attempt counted", calls.Load(), pending)
		}
		return nil
	})
}
