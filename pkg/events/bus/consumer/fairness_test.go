package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
)

// TestAQuietTypeWaitsForNobody: a member holds all that it may of a noisy type, and its
// handlers do not come back. An event of another type is read and handled all the same,
// before any more of the noisy type is, in every way that events are written.
func TestAQuietTypeWaitsForNobody(t *testing.T) {
	t.Parallel()
	for _, perEntry := range []int{1, 32} {
		t.Run(fmt.Sprint(perEntry, " in an entry"), func(t *testing.T) {
			t.Parallel()
			b := bustest.Open(t, bus.Config{EventsPerEntry: perEntry})
			noise(t, b, 3000)
			release, quiet := make(chan struct{}), make(chan struct{})
			var busy sync.WaitGroup
			busy.Add(7) // of eight handlers
			var once sync.Once
			bustest.Consume(t, b, consumer.Subscription{Concurrency: 8, Handle: func(ctx context.Context, m consumer.Message) error {
				if m.Event.Type == events.WorkflowStarted {
					once.Do(func() { close(quiet) })
					return nil
				}
				select {
				case <-release:
				default:
					busy.Done() // panics when one more than seven is at work
					<-release
				}
				return nil
			}})
			busy.Wait()
			publishStarted(t, b)
			select {
			case <-quiet:
			case <-time.After(20 * time.Second):
				t.Error("the quiet event was not handled while the handlers of the noisy type were busy")
			}
			close(release)
			servertest.Eventually(t, 20*time.Second, bustest.Settled(t, b, "readers"))
		})
	}
}

// TestAQuietTypeIsInTheNextBatch: the same where one worker handles batches of fifty.
func TestAQuietTypeIsInTheNextBatch(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	noise(t, b, 3000)
	step, batches := make(chan struct{}), make(chan []consumer.Message, 100)
	bustest.Consume(t, b, consumer.Subscription{MaxBatch: 50, HandleBatch: func(_ context.Context, batch []consumer.Message) []error {
		batches <- batch
		<-step
		return nil
	}})
	<-batches
	publishStarted(t, b)
	// It is read while that batch is at work, though the member holds all that it may.
	stream := b.Names().Stream(events.WorkflowStarted, 0)
	servertest.Eventually(t, 20*time.Second, func() error {
		p, err := b.Client().XPending(t.Context(), stream, "readers").Result()
		if err != nil || p.Count != 1 {
			return fmt.Errorf("%+v, %w; want the quiet event read", p, err)
		}
		return nil
	})
	step <- struct{}{}
	next := <-batches
	step <- struct{}{} // the next may have been taken when the event was read and not queued yet
	if next = append(next, <-batches...); !slices.ContainsFunc(next, func(m consumer.Message) bool { return m.Event.Type == events.WorkflowStarted }) {
		t.Errorf("the next two batches have %d messages and not the quiet one", len(next))
	}
	close(step)
	servertest.Eventually(t, 20*time.Second, bustest.Settled(t, b, "readers"))
}

// TestAFullMemberLeavesTheRestToOthers: of a single type it holds no more than Prefetch, also
// of what comes back to the group, so that a member with nothing to do has it.
func TestAFullMemberLeavesTheRestToOthers(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	types := []events.Type{events.WorkflowProgressed}
	noise(t, b, 2)
	release := make(chan struct{})
	var busy sync.WaitGroup
	busy.Add(2)
	bustest.Consume(t, b, consumer.Subscription{Types: types, Concurrency: 2, Prefetch: 2, Handle: func(context.Context, consumer.Message) error {
		busy.Done()
		<-release
		return nil
	}})
	busy.Wait()
	if err := b.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: b.Names().Replays("readers", 0),
		Values: []string{"data", bustest.Encode(t, bustest.Event(t, "wf-9", 1)), "seq", "1"}}).Err(); err != nil {
		t.Fatal(err)
	}
	var rec bustest.Record
	bustest.Consume(t, bustest.Another(t, b), consumer.Subscription{Types: types, Concurrency: 2, Prefetch: 2, Handle: rec.Handle})
	servertest.Eventually(t, 10*time.Second, rec.Want(1))
	close(release)
	servertest.Eventually(t, 10*time.Second, bustest.Settled(t, b, "readers"))
}

// noise publishes n events of one type, of many workflows.
func noise(t *testing.T, b *bus.Bus, n int) {
	t.Helper()
	var list []events.Event
	for i := range n {
		list = append(list, bustest.Event(t, fmt.Sprint("wf-", i), i%101))
	}
	if _, err := b.Publish(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
}

func publishStarted(t *testing.T, b *bus.Bus) {
	t.Helper()
	e, err := events.New(events.WorkflowStarted, "quiet", "tester", &events.WorkflowStartedData{Stage: events.Audit})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}
