package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
)

// TestStart: where a group that is made begins to read.
func TestStart(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	first, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1))
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 2))
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]*bustest.Record{}
	for start, group := range map[string]string{"": "all", "$": "new", first[0].EntryID: "behind", consumer.After(time.Now().Add(-time.Hour)): "hour", consumer.After(time.Now().Add(time.Hour)): "future"} {
		rec := &bustest.Record{}
		of[group] = rec
		bustest.Consume(t, bustest.Another(t, b), consumer.Subscription{Group: group, Start: start, Handle: rec.Handle})
		servertest.Eventually(t, 5*time.Second, func() error {
			return b.Client().XInfoConsumers(t.Context(), second[0].Stream, group).Err()
		})
	}
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 3)); err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]int{"all": 3, "hour": 3, "behind": 2, "new": 1} {
		servertest.Eventually(t, 5*time.Second, of[group].Want(want))
		if last := of[group].All()[want-1]; last.Seq != 3 {
			t.Errorf("%s ended with seq %d", group, last.Seq)
		}
	}
	if n := len(of["future"].All()); n > 0 {
		t.Errorf("a group that begins in an hour got %d events", n)
	}
	err = consumer.Run(t.Context(), b, consumer.Subscription{Group: "g", Types: []events.Type{events.A2ARequest}, Start: "yesterday",
		Handle: func(context.Context, consumer.Message) error { return nil }})
	if err == nil {
		t.Error("a Start that is no place in a stream was taken")
	}
}

// TestRetryAfter: the handler chooses when the next attempt is made, and attempts count.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	const wait = 300 * time.Millisecond
	var mu sync.Mutex
	var attempts []time.Time
	bustest.Consume(t, b, consumer.Subscription{MaxDeliveries: 3, Handle: func(_ context.Context, m consumer.Message) error {
		mu.Lock()
		defer mu.Unlock()
		if attempts = append(attempts, time.Now()); m.Attempt != len(attempts) {
			t.Errorf("attempt %d came as number %d", len(attempts), m.Attempt)
		}
		return consumer.RetryAfter(errors.New("busy"), wait)
	}})
	servertest.Eventually(t, 10*time.Second, func() error {
		if n := b.Client().XLen(t.Context(), b.Names().DeadLetters("readers", 0)).Val(); n != 1 {
			return fmt.Errorf("%d dead letters; want one after the last attempt", n)
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	if len(attempts) != 3 {
		t.Fatalf("%d attempts; want 3", len(attempts))
	}
	for i := 1; i < 3; i++ { // the back-off alone would be 5 ms at most
		if waited := attempts[i].Sub(attempts[i-1]); waited < wait {
			t.Errorf("attempt %d was made after %v; want at least %v", i+1, waited, wait)
		}
	}
}

// TestOneMembershipOfAGroup: a second one of the same process is refused with the name of
// the group, and possible again when the first has left.
func TestOneMembershipOfAGroup(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	s := consumer.Subscription{Group: "readers", Types: []events.Type{events.WorkflowProgressed},
		Handle: func(context.Context, consumer.Message) error { return nil }}
	stop := bustest.Consume(t, b, s)
	servertest.Eventually(t, 5*time.Second, func() error {
		return b.Client().HGet(t.Context(), b.Names().Members("readers", 0), b.Member()).Err()
	})
	if err := consumer.Run(t.Context(), b, s); err == nil || !strings.Contains(err.Error(), "readers") {
		t.Errorf("a second membership ended with %v; want an error that names the group", err)
	}
	bustest.Consume(t, bustest.Another(t, b), s) // another process
	stop()
	var rec bustest.Record
	s.Handle = rec.Handle
	s.Group = "others"
	bustest.Consume(t, b, s)
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 5*time.Second, rec.Want(1))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
}
