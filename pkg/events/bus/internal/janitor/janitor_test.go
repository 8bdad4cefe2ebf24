package janitor_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

func TestTrimKeepsWhatAGroupHasNotAcknowledged(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{Retention: "1ns"})
	var fast bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Group: "fast", Handle: fast.Handle})
	blocked := make(chan struct{})
	stopSlow := bustest.Consume(t, b, consumer.Subscription{Group: "slow", Concurrency: 1, DrainTimeout: time.Millisecond, Handle: func(ctx context.Context, m consumer.Message) error {
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
		if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", i)); err != nil {
			t.Fatal(err)
		}
	}
	stream := b.Names().Stream(events.WorkflowProgressed, 0)
	length := func(want int64) func() error {
		return func() error {
			if n := b.Client().XLen(t.Context(), stream).Val(); n != want {
				return fmt.Errorf("the stream has %d entries; want %d", n, want)
			}
			return nil
		}
	}
	servertest.Eventually(t, 5*time.Second, fast.Want(10))
	servertest.Eventually(t, 5*time.Second, length(7)) // seq 4 to 10 wait for the slow group
	close(blocked)
	servertest.Eventually(t, 5*time.Second, length(0))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "slow"))
	stopSlow()
}

func TestReplaysAreTrimmedOnceHandled(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{Retention: "1ns"})
	var mended atomic.Bool
	bustest.Consume(t, b, consumer.Subscription{Handle: func(context.Context, consumer.Message) error {
		if mended.Load() {
			return nil
		}
		return consumer.Permanent(errors.New("not yet"))
	}})
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 5*time.Second, func() error {
		letters, err := inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{})
		if err != nil || len(letters) == 0 {
			return fmt.Errorf("%d dead letters, %w", len(letters), err)
		}
		mended.Store(true)
		return inspect.New(b).Replay(t.Context(), "readers", letters[0].ID, "tester")
	})
	servertest.Eventually(t, 5*time.Second, func() error {
		if n := b.Client().XLen(t.Context(), b.Names().Replays("readers", 0)).Val(); n != 0 {
			return fmt.Errorf("%d replayed entries are kept", n)
		}
		return nil
	})
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
}
