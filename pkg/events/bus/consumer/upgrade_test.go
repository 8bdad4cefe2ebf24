package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

// TestWhatAnEarlierRevisionLeft: it shared entries by default, and kept in an event that
// came back how often it had been tried; what it left in Redis is read, with the numbers
// and the ids that it gave.
func TestWhatAnEarlierRevisionLeft(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	ctx, names, rdb := t.Context(), b.Names(), b.Client()
	list := make([]events.Event, 4)
	for i := range list {
		list[i] = bustest.Event(t, fmt.Sprint("wf-", i), i)
	}
	stream, replays := names.Stream(events.WorkflowProgressed, 0), names.Replays("readers", 0)
	add := func(stream string, values ...string) string {
		id, err := rdb.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: values}).Result()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	// Two events in one entry, pending for a member that died.
	shared := add(stream, "data", "["+bustest.Encode(t, list[0])+","+bustest.Encode(t, list[1])+"]", "seq", "1 7")
	bustest.Dead(t, b, "readers", 1)
	// One that came back after two attempts, and one that was to become a dead letter.
	add(replays, "data", bustest.Encode(t, list[2]), "seq", "1", "stream", stream, "entry", "1-1", "begun", "2", "wait", "0")
	add(replays, "data", bustest.Encode(t, list[3]), "seq", "1", "stream", stream, "entry", "1-1", "begun", "1", "wait", "0", "class", "permanent", "error", "never")
	for i, seq := range []string{"1", "7", "1", "1"} {
		rdb.HSet(ctx, names.Seen(0), list[i].ID, seq+" "+shared)
		rdb.HSet(ctx, names.Seqs(0), list[i].WorkflowID, seq)
	}

	var mu sync.Mutex
	attempts := map[string]int{}
	bustest.Consume(t, b, consumer.Subscription{MaxDeliveries: 3, Handle: func(_ context.Context, m consumer.Message) error {
		mu.Lock()
		defer mu.Unlock()
		attempts[m.Event.ID] = m.Attempt
		if m.Event.ID == list[2].ID {
			return errors.New("for the third time")
		}
		return nil
	}})
	var letters []inspect.DeadLetter
	servertest.Eventually(t, 10*time.Second, func() (err error) {
		if letters, err = inspect.New(b).DeadLetters(ctx, "readers", inspect.DeadLetterFilter{}); err != nil || len(letters) != 2 {
			return fmt.Errorf("dead letters %+v, %w; want two", letters, err)
		}
		return nil
	})
	servertest.Eventually(t, 10*time.Second, bustest.Settled(t, b, "readers"))
	mu.Lock()
	defer mu.Unlock()
	for i, want := range []int{2, 2, 3, 0} { // the dead member had begun with the first two
		if got := attempts[list[i].ID]; got != want {
			t.Errorf("event %d was last handled in attempt %d; want %d", i, got, want)
		}
	}
	for _, l := range letters {
		want := map[string]string{list[2].ID: "error, for the third time, 3", list[3].ID: "permanent, never, 1"}[l.EventID]
		if got := fmt.Sprintf("%s, %s, %d", l.Class, l.Error, l.Attempts); got != want {
			t.Errorf("the dead letter is %s; want %s", got, want)
		}
	}

	got, err := b.Publish(ctx, list[1], bustest.Event(t, "wf-1", 50))
	if err != nil || !got[0].Duplicate || got[0].Seq != 7 || got[1].Duplicate || got[1].Seq != 8 {
		t.Errorf("published again, and the next one: %+v, %v; want a duplicate of seq 7, and seq 8", got, err)
	}
}
