package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
)

func TestDrainFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	var done atomic.Int32
	started := make(chan struct{}, 1000)
	stop := bustest.Consume(t, b, consumer.Subscription{Concurrency: 4, Handle: func(context.Context, consumer.Message) error {
		started <- struct{}{}
		yield()
		done.Add(1)
		return nil
	}})
	for i := range 200 {
		if _, err := b.Publish(t.Context(), bustest.Event(t, fmt.Sprint("wf-", i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	<-started
	stop()
	pending, err := b.Client().XPending(t.Context(), b.Names().Stream(events.WorkflowProgressed, 0), "readers").Result()
	if err != nil || pending.Count != 0 {
		t.Errorf("%+v pending after the drain, %v; want none", pending, err)
	}
	if n := b.Client().HLen(t.Context(), b.Names().Members("readers", 0)).Val(); n != 0 {
		t.Errorf("%d members left behind; want 0", n)
	}
	t.Logf("%d of 200 handled before leaving", done.Load())
}

func TestDrainCancelsAHandlerThatTakesTooLong(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	var wg sync.WaitGroup
	wg.Add(1)
	var cause error
	stop := bustest.Consume(t, b, consumer.Subscription{DrainTimeout: 50 * time.Millisecond, Handle: func(ctx context.Context, _ consumer.Message) error {
		wg.Done()
		<-ctx.Done()
		cause = context.Cause(ctx)
		return cause
	}})
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	stop()
	if !errors.Is(cause, consumer.ErrDraining) {
		t.Errorf("the handler was cancelled with %v; want consumer.ErrDraining", cause)
	}
	// The entry is left for another member, its attempt not counted.
	other := bustest.Another(t, b)
	var rec bustest.Record
	bustest.Consume(t, other, consumer.Subscription{Handle: rec.Handle})
	servertest.Eventually(t, 5*time.Second, rec.Want(1))
	if got := rec.All()[0].Attempt; got != 1 {
		t.Errorf("the next member runs it as attempt %d; want 1", got)
	}
}

// TestWhatIsLeftBehindMovesAtOnce: the leaving member said so, nobody has to see
// its lease stand still. The successor looks once only, when it begins.
func TestWhatIsLeftBehindMovesAtOnce(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	begun := make(chan struct{}, 1)
	stop := bustest.Consume(t, b, consumer.Subscription{Concurrency: 1, DrainTimeout: time.Millisecond, Handle: func(ctx context.Context, _ consumer.Message) error {
		begun <- struct{}{}
		<-ctx.Done()
		return context.Cause(ctx)
	}})
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1), bustest.Event(t, "wf-1", 2), bustest.Event(t, "wf-1", 3)); err != nil {
		t.Fatal(err)
	}
	<-begun
	stop()
	other := bustest.Another(t, b)
	other.Wire().Intervals.Check = time.Hour
	var rec bustest.Record
	bustest.Consume(t, other, consumer.Subscription{Handle: rec.Handle})
	servertest.Eventually(t, 5*time.Second, rec.Want(3))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, other, "readers"))
}
