package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
	"agentbus/pkg/events/bus/internal/wire"
)

func TestADeadMembersEntriesMove(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	for i := range 30 {
		if _, err := b.Publish(t.Context(), bustest.Event(t, fmt.Sprint("wf-", i), i)); err != nil {
			t.Fatal(err)
		}
	}
	bustest.Dead(t, b, "readers", 20)
	var rec bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
	servertest.Eventually(t, 10*time.Second, rec.Want(30))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	servertest.Eventually(t, 5*time.Second, func() error {
		consumers, err := b.Client().XInfoConsumers(t.Context(), b.Names().Stream(events.WorkflowProgressed, 0), "readers").Result()
		if err != nil || len(consumers) != 1 {
			return fmt.Errorf("%d consumers, %w; want the living one alone", len(consumers), err)
		}
		return nil
	})
}

func TestAMemberGoesOnWithItsOwnEntries(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{Member: "dead-member"}) // restarted under its old name
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1), bustest.Event(t, "wf-1", 2)); err != nil {
		t.Fatal(err)
	}
	bustest.Dead(t, b, "readers", 1)
	b.Wire().Intervals.Check = time.Hour // not by looking around
	var rec bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
	servertest.Eventually(t, 5*time.Second, rec.Want(2))
	if first := rec.All()[0]; first.Seq != 1 || first.Attempt != 2 {
		t.Errorf("first came seq %d as attempt %d; want its own pending one, seq 1 as attempt 2", first.Seq, first.Attempt)
	}
}

func TestALostReadReplyIsFoundAgain(t *testing.T) {
	t.Parallel()
	for _, partitions := range []int{0, 3} {
		b := bustest.Open(t, bus.Config{Partitions: partitions})
		var rec bustest.Record
		bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
		for i := range 5 { // of several partitions
			deliver(t, b, fmt.Sprint("wf-", i), b.Member()) // but nobody tells the member
		}
		servertest.Eventually(t, 5*time.Second, rec.Want(5))
		servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	}
}

// deliver adds an event and reads it under a consumer's name, in one step.
func deliver(t *testing.T, b *bus.Bus, workflow, consumer string) {
	t.Helper()
	stream := b.Names().Stream(events.WorkflowProgressed, b.Names().Partition(workflow))
	servertest.Eventually(t, 5*time.Second, func() error {
		return b.Client().XInfoConsumers(t.Context(), stream, "readers").Err()
	})
	got, err := b.Client().Eval(t.Context(), `redis.call('XADD', KEYS[1], '*', 'data', ARGV[1], 'seq', 1)
		return redis.call('XREADGROUP', 'GROUP', 'readers', ARGV[2], 'STREAMS', KEYS[1], '>')`,
		[]string{stream}, bustest.Encode(t, bustest.Event(t, workflow, 1)), consumer).Result()
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
}

// TestAConsumerWithoutALeaseIsNotRobbed: it takes part by plain Redis commands. While it
// gives signs of life it keeps what it works on, for however many checks; then it is dead.
func TestAConsumerWithoutALeaseIsNotRobbed(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	var rec bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
	deliver(t, b, "wf-1", "foreign")
	stream := b.Names().Stream(events.WorkflowProgressed, 0)
	pending, err := b.Client().XPendingExt(t.Context(), &redis.XPendingExtArgs{Stream: stream, Group: "readers", Start: "-", End: "+", Count: 1}).Result()
	if err != nil || len(pending) != 1 {
		t.Fatal(pending, err)
	}
	// Longer than a member without any sign would be let live.
	for end := time.Now().Add(consumer.IdleChecks * b.Wire().Intervals.Check * 6 / 5); time.Now().Before(end); wire.Pause(t.Context(), b.Wire().Intervals.Check/4) {
		if err := b.Client().Do(t.Context(), "XCLAIM", stream, "readers", "foreign", 0, pending[0].ID, "JUSTID").Err(); err != nil {
			t.Fatal(err)
		}
		if err := rec.Want(0)(); err != nil {
			t.Fatalf("it was robbed while it was alive: %v", err)
		}
	}
	servertest.Eventually(t, 4*consumer.IdleChecks*b.Wire().Intervals.Check, rec.Want(1))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
}

// TestAKillerIsIsolated: an entry whose handler kills its member again and again
// becomes a dead letter; its neighbours are handled.
func TestAKillerIsIsolated(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	for i := range 10 {
		if _, err := b.Publish(t.Context(), bustest.Event(t, fmt.Sprint("wf-", i), i)); err != nil {
			t.Fatal(err)
		}
	}
	bustest.Dead(t, b, "readers", 10)
	// As if four members had died over the first entry.
	stream := b.Names().Stream(events.WorkflowProgressed, 0)
	first := b.Client().XRangeN(t.Context(), stream, "-", "+", 1).Val()[0].ID
	if err := b.Client().Do(t.Context(), "XCLAIM", stream, "readers", "dead-member", 0, first, "RETRYCOUNT", 5, "JUSTID").Err(); err != nil {
		t.Fatal(err)
	}
	var rec bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
	servertest.Eventually(t, 10*time.Second, rec.Want(9))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	letters, err := inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{})
	if err != nil || len(letters) != 1 || letters[0].Class != "crash" || letters[0].EntryID != first {
		t.Errorf("dead letters %+v, %v; want the first entry, class crash", letters, err)
	}
}

func TestALostGroupIsMadeAgain(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	b := bustest.Open(t, bus.Config{URL: srv.URL})
	var rec bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
	stream := b.Names().Stream(events.WorkflowProgressed, 0)
	for i, loss := range []func() error{
		func() error { return b.Client().FlushAll(t.Context()).Err() },
		func() error { return b.Client().Del(t.Context(), stream).Err() },
		func() error { return b.Client().XGroupDestroy(t.Context(), stream, "readers").Err() },
	} {
		if _, err := b.Publish(t.Context(), bustest.Event(t, fmt.Sprint("before-", i), 1)); err != nil {
			t.Fatal(err)
		}
		servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
		before := len(rec.All())
		if err := loss(); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Publish(t.Context(), bustest.Event(t, fmt.Sprint("after-", i), 1)); err != nil {
			t.Fatal(err)
		}
		servertest.Eventually(t, 5*time.Second, func() error {
			for _, m := range rec.All()[before:] {
				if m.Event.WorkflowID == fmt.Sprint("after-", i) {
					return nil
				}
			}
			return fmt.Errorf("loss %d: the event after it was not handled", i)
		})
	}
}

func TestALongHandlerKeepsItsEntry(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	release := make(chan struct{})
	var calls atomic.Int32
	handle := func(ctx context.Context, _ consumer.Message) error {
		calls.Add(1)
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	other := bustest.Another(t, b)
	bustest.Consume(t, b, consumer.Subscription{Handle: handle})
	bustest.Consume(t, other, consumer.Subscription{Handle: handle})
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	// Ten times longer than it takes to declare a member dead.
	time.AfterFunc(30*b.Wire().Intervals.Check, func() { close(release) })
	<-release
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	if calls.Load() != 1 {
		t.Errorf("the entry was run %d times; want once", calls.Load())
	}
}

func TestAMemberThatStoodStillJoinsAnew(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	cause := make(chan error, 10)
	var calls atomic.Int32
	bustest.Consume(t, b, consumer.Subscription{Handle: func(ctx context.Context, _ consumer.Message) error {
		if calls.Add(1) > 1 {
			return nil
		}
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil // says it succeeded, but the entry is no longer its own
	}})
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 5*time.Second, func() error {
		if calls.Load() == 0 {
			return errors.New("not called yet")
		}
		return nil
	})
	if err := b.Client().HDel(t.Context(), b.Names().Members("readers", 0), b.Member()).Err(); err != nil { // what a claim does
		t.Fatal(err)
	}
	if err := <-cause; !errors.Is(err, consumer.ErrLost) {
		t.Errorf("the handler's context ended with %v; want consumer.ErrLost", err)
	}
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
}
