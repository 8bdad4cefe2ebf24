package bus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
)

func TestTrimKeepsWhatAGroupHasNotAcknowledged(t *testing.T) {
	t.Parallel()
	b := open(t, Config{Retention: time.Nanosecond})
	var fast record
	consume(t, b, Subscription{Group: "fast", Handle: fast.handle})
	blocked := make(chan struct{})
	stopSlow := consume(t, b, Subscription{Group: "slow", Concurrency: 1, DrainTimeout: time.Millisecond, Handle: func(ctx context.Context, m Message) error {
		if m.Seq <= 3 {
			return nil
		}
		select {
		case <-blocked:
		case <-ctx.Done():
		}
		return context.Cause(ctx)
	}})
	for i := range 10 {
		if _, err := b.Publish(t.Context(), event(t, "wf-1", i)); err != nil {
			t.Fatal(err)
		}
	}
	stream := b.names.Stream(events.WorkflowProgressed, 0)
	length := func(want int64) func() error {
		return func() error {
			if n := b.rdb.XLen(t.Context(), stream).Val(); n != want {
				return fmt.Errorf("the stream has %d entries; want %d", n, want)
			}
			return nil
		}
	}
	servertest.Eventually(t, 5*time.Second, fast.want(10))
	servertest.Eventually(t, 5*time.Second, length(7)) // seq 4 to 10 wait for the slow group
	close(blocked)
	servertest.Eventually(t, 5*time.Second, length(0))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "slow"))
	stopSlow()
}

func TestReplaysAreTrimmedOnceHandled(t *testing.T) {
	t.Parallel()
	b := open(t, Config{Retention: time.Nanosecond})
	var mended atomic.Bool
	consume(t, b, Subscription{Handle: func(context.Context, Message) error {
		if mended.Load() {
			return nil
		}
		return Permanent(errors.New("not yet"))
	}})
	if _, err := b.Publish(t.Context(), event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 5*time.Second, func() error {
		letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{})
		if err != nil || len(letters) == 0 {
			return fmt.Errorf("%d dead letters, %w", len(letters), err)
		}
		mended.Store(true)
		return b.Replay(t.Context(), "readers", letters[0].ID, "tester")
	})
	servertest.Eventually(t, 5*time.Second, func() error {
		if n := b.rdb.XLen(t.Context(), b.names.Replays("readers", 0)).Val(); n != 0 {
			return fmt.Errorf("%d replayed entries are kept", n)
		}
		return nil
	})
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
}
