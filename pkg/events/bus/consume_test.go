package bus

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
)

func TestConsumeHandsOnEveryEventInOrder(t *testing.T) {
	for _, partitions := range []int{0, 3} {
		t.Run(fmt.Sprint(partitions, " partitions"), func(t *testing.T) {
			t.Parallel()
			b := open(t, Config{Partitions: partitions})
			var rec record
			consume(t, b, Subscription{Handle: rec.handle})
			for i := range 50 {
				for w := range 4 {
					e := event(t, fmt.Sprint("wf-", w), i)
					if i%2 == 0 {
						e.Type, e.Data = events.WorkflowStarted, []byte(`{"stage":"audit"}`)
					}
					if _, err := b.Publish(t.Context(), e); err != nil {
						t.Fatal(err)
					}
				}
			}
			servertest.Eventually(t, 10*time.Second, rec.want(200))
			next := map[string]int64{}
			for _, m := range rec.all() {
				if next[m.Event.WorkflowID]++; m.Seq != next[m.Event.WorkflowID] {
					t.Fatalf("%s: seq %d came when %d was due", m.Event.WorkflowID, m.Seq, next[m.Event.WorkflowID])
				}
			}
			servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
		})
	}
}

func TestConsumeRunsAWorkflowsEventsOneAtATime(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	var running, worst, done atomic.Int32
	consume(t, b, Subscription{Concurrency: 8, Handle: func(context.Context, Message) error {
		worst.Store(max(worst.Load(), running.Add(1)))
		yield()
		running.Add(-1)
		done.Add(1)
		return nil
	}})
	for i := range 40 {
		if _, err := b.Publish(t.Context(), event(t, "wf-1", i)); err != nil {
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
	b := open(t, Config{})
	e := event(t, "wf-1", 7)
	add(t, b, e.Type, "wf-1", "data", encode(t, e))
	add(t, b, e.Type, "wf-1", "data", encode(t, e)) // the producer tried again
	later := event(t, "wf-1", 8)
	add(t, b, e.Type, "wf-1", "data", encode(t, later))
	var one, two record
	consume(t, b, Subscription{Group: "one", Handle: one.handle})
	consume(t, b, Subscription{Group: "two", Handle: two.handle})
	for name, rec := range map[string]*record{"one": &one, "two": &two} {
		servertest.Eventually(t, 5*time.Second, rec.want(2))
		servertest.Eventually(t, 5*time.Second, settled(t, b, name))
		seq := map[string]int64{}
		for _, m := range rec.all() {
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
	b := open(t, Config{})
	if _, err := b.Publish(t.Context(), event(t, "wf-old", 1)); err != nil {
		t.Fatal(err)
	}
	tail := func(from string) *record {
		rec := &record{}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		other := open(t, Config{Prefix: b.cfg.Prefix})
		go func() {
			done <- other.Tail(ctx, []events.Type{events.WorkflowProgressed}, from, func(m Message) error { return rec.handle(ctx, m) })
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
		if _, err := b.Publish(t.Context(), event(t, "wf-new", 1)); err != nil {
			return err
		}
		if len(now.all()) == 0 || len(oldest.all()) < 2 {
			return errors.New("not seen yet")
		}
		return nil
	})
	if first := oldest.all()[0].Event.WorkflowID; first != "wf-old" {
		t.Errorf("the tail from the oldest entry began with %s", first)
	}
	if first := now.all()[0].Event.WorkflowID; first != "wf-new" {
		t.Errorf("the tail from now began with %s", first)
	}
}

// yield lets other goroutines run for a while: a handler at work.
func yield() {
	for range 200 {
		runtime.Gosched()
	}
}
