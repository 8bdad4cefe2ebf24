package bus

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
)

func TestDrainFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	var done atomic.Int32
	started := make(chan struct{}, 1000)
	stop := consume(t, b, Subscription{Concurrency: 4, Handle: func(context.Context, Message) error {
		started <- struct{}{}
		yield()
		done.Add(1)
		return nil
	}})
	for i := range 200 {
		if _, err := b.Publish(t.Context(), event(t, fmt.Sprint("wf-", i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	<-started
	stop()
	pending, err := b.rdb.XPending(t.Context(), b.names.Stream(events.WorkflowProgressed, 0), "readers").Result()
	if err != nil || pending.Count != 0 {
		t.Errorf("%+v pending after the drain, %v; want none", pending, err)
	}
	if n := b.rdb.HLen(t.Context(), b.names.Members("readers", 0)).Val(); n != 0 {
		t.Errorf("%d members left behind; want 0", n)
	}
	t.Logf("%d of 200 handled before leaving", done.Load())
}

func TestDrainCancelsAHandlerThatTakesTooLong(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	var wg sync.WaitGroup
	wg.Add(1)
	var cause error
	stop := consume(t, b, Subscription{DrainTimeout: 50 * time.Millisecond, Handle: func(ctx context.Context, _ Message) error {
		wg.Done()
		<-ctx.Done()
		cause = context.Cause(ctx)
		return cause
	}})
	if _, err := b.Publish(t.Context(), event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	stop()
	if !errors.Is(cause, ErrDraining) {
		t.Errorf("the handler was cancelled with %v; want ErrDraining", cause)
	}
	// The entry is left for another member, its attempt not counted.
	other := open(t, Config{Prefix: b.cfg.Prefix})
	var rec record
	consume(t, other, Subscription{Handle: rec.handle})
	servertest.Eventually(t, 5*time.Second, rec.want(1))
	if got := rec.all()[0].Attempt; got != 1 {
		t.Errorf("the next member runs it as attempt %d; want 1", got)
	}
}

// TestWhatIsLeftBehindMovesAtOnce: the leaving member said so, nobody has to see
// its lease stand still. The successor looks once only, when it begins.
func TestWhatIsLeftBehindMovesAtOnce(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	begun := make(chan struct{}, 1)
	stop := consume(t, b, Subscription{Concurrency: 1, DrainTimeout: time.Millisecond, Handle: func(ctx context.Context, _ Message) error {
		begun <- struct{}{}
		<-ctx.Done()
		return context.Cause(ctx)
	}})
	if _, err := b.Publish(t.Context(), event(t, "wf-1", 1), event(t, "wf-1", 2), event(t, "wf-1", 3)); err != nil {
		t.Fatal(err)
	}
	<-begun
	stop()
	other := open(t, Config{Prefix: b.cfg.Prefix})
	other.rhythm.look = time.Hour
	var rec record
	consume(t, other, Subscription{Handle: rec.handle})
	servertest.Eventually(t, 5*time.Second, rec.want(3))
	servertest.Eventually(t, 5*time.Second, settled(t, other, "readers"))
}
