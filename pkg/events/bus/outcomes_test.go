package bus

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
		"permanent at once":            {func(int) error { return Permanent(boom) }, 1, "permanent"},
		"a panic up to the limit":      {func(int) error { panic("ouch") }, 5, "panic"},
		"unavailable is not counted":   {func(n int) error { return map[bool]error{true: Unavailable(boom)}[n < 4] }, 4, ""},
		"a handler out of time":        {func(int) error { return context.DeadlineExceeded }, 5, "timeout"},
		"wrapped permanent is at once": {func(int) error { return fmt.Errorf("store: %w", Permanent(boom)) }, 1, "permanent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, Config{})
			var calls atomic.Int32
			var good record
			consume(t, b, Subscription{Handle: func(ctx context.Context, m Message) error {
				if m.Event.WorkflowID != "bad" {
					return good.handle(ctx, m)
				}
				return tc.handle(int(calls.Add(1)))
			}})
			if _, err := b.Publish(t.Context(), event(t, "bad", 1), event(t, "good", 1)); err != nil {
				t.Fatal(err)
			}
			servertest.Eventually(t, 10*time.Second, good.want(1))
			servertest.Eventually(t, 10*time.Second, settled(t, b, "readers"))
			if got := int(calls.Load()); got != tc.attempts {
				t.Errorf("the handler ran %d times; want %d", got, tc.attempts)
			}
			letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{})
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
	b := open(t, Config{})
	good := encode(t, event(t, "wf-1", 1))
	for what, fields := range map[string][]any{
		"not JSON":     {"data", `{"id":`},
		"no data":      {"payload", good},
		"wrong stream": {"data", strings.Replace(good, "workflow.progressed", "audit.started", 1)},
		"unknown type": {"data", strings.Replace(good, "workflow.progressed", "workflow.paused", 1)},
		"too large":    {"data", strings.Repeat("x", events.MaxEventBytes+1)},
	} {
		add(t, b, events.WorkflowProgressed, "wf-1", append(fields, "note", what)...)
	}
	add(t, b, events.WorkflowProgressed, "wf-1", "data", good)
	var rec record
	consume(t, b, Subscription{Handle: rec.handle})
	servertest.Eventually(t, 5*time.Second, rec.want(1))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{Class: "malformed"})
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
	b := open(t, Config{})
	var rec record
	for i := range 100 {
		if _, err := b.Publish(t.Context(), event(t, fmt.Sprint("wf-", i%7), i)); err != nil {
			t.Fatal(err)
		}
	}
	consume(t, b, Subscription{HandleBatch: func(ctx context.Context, batch []Message) []error {
		errs := make([]error, len(batch))
		for i, m := range batch {
			if strings.Contains(string(m.Raw), `"percent":42,`) {
				errs[i] = Permanent(errors.New("poison"))
				continue
			}
			_ = rec.handle(ctx, m)
		}
		return errs
	}})
	servertest.Eventually(t, 5*time.Second, rec.want(99))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	if letters, _ := b.DeadLetters(t.Context(), "readers", LetterFilter{}); len(letters) != 1 {
		t.Errorf("%d dead letters; want 1", len(letters))
	}
}

func TestReplayReachesItsGroupAlone(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	var mended atomic.Bool
	var one, two record
	consume(t, b, Subscription{Group: "one", Handle: func(ctx context.Context, m Message) error {
		if !mended.Load() {
			return Permanent(errors.New("not yet"))
		}
		return one.handle(ctx, m)
	}})
	consume(t, b, Subscription{Group: "two", Handle: two.handle})
	if _, err := b.Publish(t.Context(), event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	var letters []DeadLetter
	servertest.Eventually(t, 5*time.Second, func() (err error) {
		if letters, err = b.DeadLetters(t.Context(), "one", LetterFilter{}); len(letters) == 0 {
			return errors.Join(err, errors.New("no dead letter yet"))
		}
		return err
	})
	mended.Store(true)
	if err := b.Replay(t.Context(), "one", letters[0].ID, "tester"); err != nil {
		t.Fatal(err)
	}
	if err := b.Replay(t.Context(), "one", letters[0].ID, "tester"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a second replay gave %v; want ErrNotFound", err)
	}
	servertest.Eventually(t, 5*time.Second, one.want(1))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "one"))
	if m := one.all()[0]; m.Seq != 1 || m.Attempt != 1 {
		t.Errorf("replayed as seq %d attempt %d; want 1 and 1", m.Seq, m.Attempt)
	}
	if got := len(two.all()); got != 1 {
		t.Errorf("group two saw the event %d times; want once", got)
	}
}

func TestAReplayThatDiesAgainKeepsItsOrigin(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	consume(t, b, Subscription{Handle: func(context.Context, Message) error { return Permanent(errors.New("never")) }})
	receipts, err := b.Publish(t.Context(), event(t, "wf-1", 1))
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for range 2 {
		servertest.Eventually(t, 5*time.Second, func() error {
			letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{})
			if err != nil || len(letters) != 1 || letters[0].ID == last {
				return fmt.Errorf("%d dead letters, %w; want a new one", len(letters), err)
			}
			if l := letters[0]; l.Stream != receipts[0].Stream || l.EntryID != receipts[0].EntryID {
				t.Errorf("the letter says it stood at %s %s; want %s %s", l.Stream, l.EntryID, receipts[0].Stream, receipts[0].EntryID)
			}
			last = letters[0].ID
			return nil
		})
		if err := b.Replay(t.Context(), "readers", last, "tester"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnavailableIsTakenBackInRedis: a member that is killed while its sink is away must not leave the
// attempts behind that did not count, or the entry runs out of them.
func TestUnavailableIsTakenBackInRedis(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	e := event(t, "wf-1", 1)
	if _, err := b.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	consume(t, b, Subscription{Handle: func(context.Context, Message) error {
		calls.Add(1)
		return Unavailable(errors.New("away"))
	}})
	servertest.Eventually(t, 10*time.Second, func() error {
		pending, err := b.rdb.XPendingExt(t.Context(), &redis.XPendingExtArgs{Stream: b.names.Stream(e.Type, 0), Group: "readers", Start: "-", End: "+", Count: 10}).Result()
		if err != nil {
			return err
		}
		if calls.Load() < 3 || len(pending) != 1 || pending[0].RetryCount != 0 {
			return fmt.Errorf("after %d calls %+v is pending, want no attempt counted", calls.Load(), pending)
		}
		return nil
	})
}
