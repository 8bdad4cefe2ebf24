package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
)

func TestConsumeHandsOnEveryEventInOrder(t *testing.T) {
	for _, partitions := range []int{0, 3} {
		t.Run(fmt.Sprint(partitions, " partitions"), func(t *testing.T) {
			t.Parallel()
			b := bustest.Open(t, bus.Config{Partitions: partitions})
			var rec bustest.Record
			bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
			for i := range 50 {
				for w := range 4 {
					e := bustest.Event(t, fmt.Sprint("wf-", w), i)
					if i%2 == 0 {
						e.Type, e.Data = events.WorkflowStarted, []byte(`{"stage":"audit"}`)
					}
					if _, err := b.Publish(t.Context(), e); err != nil {
						t.Fatal(err)
					}
				}
			}
			servertest.Eventually(t, 10*time.Second, rec.Want(200))
			next := map[string]int64{}
			for _, m := range rec.All() {
				if next[m.Event.WorkflowID]++; m.Seq != next[m.Event.WorkflowID] {
					t.Fatalf("%s: seq %d came when %d was due", m.Event.WorkflowID, m.Seq, next[m.Event.WorkflowID])
				}
			}
			servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
		})
	}
}

func TestConsumeRunsAWorkflowsEventsOneAtATime(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	var running, worst, done atomic.Int32
	bustest.Consume(t, b, consumer.Subscription{Concurrency: 8, Handle: func(context.Context, consumer.Message) error {
		worst.Store(max(worst.Load(), running.Add(1)))
		yield()
		running.Add(-1)
		done.Add(1)
		return nil
	}})
	for i := range 40 {
		if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", i)); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Eventually(t, 10*time.Second, func() error {
		if done.Load() != 40 {
			return fmt.Errorf("%d of 40 done", done.Load())
		}
		return nil
	})
	if worst.Load() != 1 {
		t.Errorf("%d handlers ran at once for one workflow", worst.Load())
	}
}

func TestConsumeAdmitsWhatOthersAdded(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	e := bustest.Event(t, "wf-1", 7)
	bustest.Add(t, b, e.Type, "wf-1", "data", bustest.Encode(t, e))
	bustest.Add(t, b, e.Type, "wf-1", "data", bustest.Encode(t, e)) // the producer tried again
	later := bustest.Event(t, "wf-1", 8)
	bustest.Add(t, b, e.Type, "wf-1", "data", bustest.Encode(t, later))
	var one, two bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Group: "one", Handle: one.Handle})
	bustest.Consume(t, b, consumer.Subscription{Group: "two", Handle: two.Handle})
	for name, rec := range map[string]*bustest.Record{"one": &one, "two": &two} {
		servertest.Eventually(t, 5*time.Second, rec.Want(2))
		servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, name))
		seq := map[string]int64{}
		for _, m := range rec.All() {
			seq[m.Event.ID] = m.Seq
		}
		if seq[e.ID] != 1 || seq[later.ID] != 2 {
			t.Errorf("group %s got seq %v; want %s:1 %s:2", name, seq, e.ID, later.ID)
		}
	}
	again, err := b.Publish(t.Context(), e)
	if err != nil || !again[0].Duplicate {
		t.Errorf("publishing what was adopted gave %+v, %v; want a duplicate", again, err)
	}
}

func TestTailSeesEverythingWithoutAGroup(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-old", 1)); err != nil {
		t.Fatal(err)
	}
	tail := func(from string) *bustest.Record {
		rec := &bustest.Record{}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		other := bustest.Another(t, b)
		go func() {
			done <- consumer.Tail(ctx, other, consumer.Tailing{Types: []events.Type{events.WorkflowProgressed}, From: from}, func(m consumer.Message) error { return rec.Handle(ctx, m) })
		}()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("tail from %s: %v", from, err)
			}
		})
		return rec
	}
	oldest, now := tail("0"), tail("$")
	servertest.Eventually(t, 5*time.Second, func() error { // the second one begins at some moment: publish until it has
		if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-new", 1)); err != nil {
			return err
		}
		if len(now.All()) == 0 || len(oldest.All()) < 2 {
			return errors.New("not seen yet")
		}
		return nil
	})
	if first := oldest.All()[0].Event.WorkflowID; first != "wf-old" {
		t.Errorf("the tail from the oldest entry began with %s", first)
	}
	if first := now.All()[0].Event.WorkflowID; first != "wf-new" {
		t.Errorf("the tail from now began with %s", first)
	}
}

// yield lets other goroutines run for a while: a handler at work.
func yield() {
	for range 200 {
		runtime.Gosched()
	}
}
