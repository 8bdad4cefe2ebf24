package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
)

// publishPack publishes events of n workflows in one entry.
func publishPack(t *testing.T, b *bus.Bus, n int) []bus.Receipt {
	t.Helper()
	list := make([]events.Event, n)
	for i := range list {
		list[i] = bustest.Event(t, fmt.Sprint("wf-", i), i)
	}
	got, err := b.Publish(t.Context(), list...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got {
		if r.EntryID != got[0].EntryID {
			t.Fatalf("events published together stand in %s and %s; want one entry", got[0].EntryID, r.EntryID)
		}
	}
	return got
}

// TestABadEventCostsItsNeighboursNothing: each event of an entry is handled once, but
// for the bad one, which has all its attempts and becomes the only dead letter.
func TestABadEventCostsItsNeighboursNothing(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{EventsPerEntry: 32})
	receipts := publishPack(t, b, 20)
	var mu sync.Mutex
	attempts := map[string][]int{}
	bustest.Consume(t, b, consumer.Subscription{MaxDeliveries: 3, Handle: func(_ context.Context, m consumer.Message) error {
		mu.Lock()
		defer mu.Unlock()
		attempts[m.Event.WorkflowID] = append(attempts[m.Event.WorkflowID], m.Attempt)
		switch m.Event.WorkflowID {
		case "wf-3":
			return errors.New("boom")
		case "wf-4":
			return consumer.Permanent(errors.New("never"))
		case "wf-5":
			if m.Attempt < 3 {
				return errors.New("not yet")
			}
		}
		return nil
	}})
	var letters []inspect.DeadLetter
	servertest.Eventually(t, 5*time.Second, func() (err error) {
		if letters, err = inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{}); err != nil || len(letters) != 2 {
			return fmt.Errorf("dead letters %+v, %w; want two", letters, err)
		}
		return nil
	})
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	mu.Lock()
	defer mu.Unlock()
	for workflow, got := range attempts {
		want := map[string][]int{"wf-3": {1, 2, 3}, "wf-5": {1, 2, 3}}[workflow]
		if want == nil {
			want = []int{1}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s was handled in attempts %v; want %v", workflow, got, want)
		}
	}
	for _, l := range letters {
		want := map[string]inspect.DeadLetter{
			"wf-3": {Class: "error", Error: "boom", Attempts: 3}, "wf-4": {Class: "permanent", Error: "never", Attempts: 1},
		}[l.WorkflowID]
		if l.Class != want.Class || l.Error != want.Error || l.Attempts != want.Attempts || l.Seq != 1 ||
			l.Stream != receipts[0].Stream || l.EntryID != receipts[0].EntryID {
			t.Errorf("dead letter %+v; want %+v from %+v", l, want, receipts[0])
		}
		if e, err := events.Decode(l.Data); err != nil || e.ID != l.EventID {
			t.Errorf("the letter's data is %s, %v; want the one event", l.Data, err)
		}
	}
}

// TestAnEntryOfADeadMemberIsTakenApart: its events go on alone, so that one which
// kills its member again and again does not take its neighbours along.
func TestAnEntryOfADeadMemberIsTakenApart(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{EventsPerEntry: 32})
	publishPack(t, b, 10)
	bustest.Dead(t, b, "readers", 1)
	var rec bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
	servertest.Eventually(t, 10*time.Second, rec.Want(10))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	for _, m := range rec.All() {
		if m.Attempt != 2 || m.Stream != b.Names().Replays("readers", 0) {
			t.Errorf("%s came as attempt %d from %s; want the second, in an entry of its own", m.Event.WorkflowID, m.Attempt, m.Stream)
		}
	}
}

// TestAKillerAmongNeighbours: what was in hand twice when its member died is suspected
// alone, though it shared an entry.
func TestAKillerAmongNeighbours(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{EventsPerEntry: 32})
	publishPack(t, b, 5)
	bustest.Dead(t, b, "readers", 1)
	var rec bustest.Record
	stop := bustest.Consume(t, b, consumer.Subscription{MaxDeliveries: 3, Handle: func(ctx context.Context, m consumer.Message) error {
		if m.Event.WorkflowID == "wf-2" {
			<-ctx.Done() // it has not come back when the member leaves
			return context.Cause(ctx)
		}
		return rec.Handle(ctx, m)
	}, HandlerTimeout: time.Minute, DrainTimeout: time.Nanosecond})
	servertest.Eventually(t, 10*time.Second, rec.Want(4))
	stop()
	// As if it had not left but died, once more, and again.
	replays := b.Names().Replays("readers", 0)
	left, err := b.Client().XPendingExt(t.Context(), &redis.XPendingExtArgs{Stream: replays, Group: "readers", Start: "-", End: "+", Count: 10}).Result()
	if err != nil || len(left) != 1 {
		t.Fatalf("pending %+v, %v; want the killer alone", left, err)
	}
	if err := b.Client().Do(t.Context(), "XCLAIM", replays, "readers", left[0].Consumer, 0, left[0].ID, "RETRYCOUNT", 3, "JUSTID").Err(); err != nil {
		t.Fatal(err)
	}
	bustest.Consume(t, b, consumer.Subscription{MaxDeliveries: 3, Handle: rec.Handle})
	servertest.Eventually(t, 10*time.Second, bustest.Settled(t, b, "readers"))
	letters, err := inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{})
	if err != nil || len(letters) != 1 || letters[0].WorkflowID != "wf-2" || letters[0].Class != "crash" || letters[0].Attempts != 3 {
		t.Errorf("dead letters %+v, %v; want wf-2, a crash after one attempt in the entry and two alone", letters, err)
	}
}

// TestLeavingInMidEntry: what is handled is not handled again by the successor, and
// what is not is, whether it was queued or cut off.
func TestLeavingInMidEntry(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{EventsPerEntry: 32})
	publishPack(t, b, 12)
	var first, second bustest.Record
	var begun atomic.Int32
	stop := bustest.Consume(t, b, consumer.Subscription{Concurrency: 2, DrainTimeout: 50 * time.Millisecond, Handle: func(ctx context.Context, m consumer.Message) error {
		if begun.Add(1) > 6 {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return first.Handle(ctx, m)
	}})
	servertest.Eventually(t, 5*time.Second, func() error {
		if n := begun.Load(); n < 7 {
			return fmt.Errorf("%d begun", n)
		}
		return nil
	})
	stop()
	bustest.Consume(t, b, consumer.Subscription{Handle: second.Handle})
	servertest.Eventually(t, 5*time.Second, second.Want(6))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	for _, m := range second.All() {
		if m.Attempt != 1 {
			t.Errorf("%s came as attempt %d; what was cut off does not count", m.Event.WorkflowID, m.Attempt)
		}
		if slices.ContainsFunc(first.All(), func(o consumer.Message) bool { return o.Event.ID == m.Event.ID }) {
			t.Errorf("%s was handled by both", m.Event.WorkflowID)
		}
	}
}

// TestAnOutageLeavesAnEntryWhole: nothing is taken apart or counted for it.
func TestAnOutageLeavesAnEntryWhole(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{EventsPerEntry: 32})
	publishPack(t, b, 5)
	var rec bustest.Record
	var down atomic.Bool
	down.Store(true)
	var tries atomic.Int32
	bustest.Consume(t, b, consumer.Subscription{HandleBatch: func(ctx context.Context, batch []consumer.Message) []error {
		tries.Add(1)
		errs := make([]error, len(batch))
		for i, m := range batch {
			if down.Load() {
				errs[i] = consumer.Unavailable(errors.New("down"))
			} else {
				errs[i] = rec.Handle(ctx, m)
			}
		}
		return errs
	}})
	servertest.Eventually(t, 5*time.Second, func() error {
		if n := tries.Load(); n < 3 {
			return fmt.Errorf("%d tries", n)
		}
		return nil
	})
	down.Store(false)
	servertest.Eventually(t, 10*time.Second, rec.Want(5))
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	if n := b.Client().XLen(t.Context(), b.Names().Replays("readers", 0)).Val(); n != 0 {
		t.Errorf("%d events were taken out of their entry", n)
	}
	for _, m := range rec.All() {
		if m.Attempt != 1 {
			t.Errorf("%s came as attempt %d; want 1", m.Event.WorkflowID, m.Attempt)
		}
	}
}

// TestMembersShareALargeEntry: one that may have a single event at once leaves the
// others of an entry to other members.
func TestMembersShareALargeEntry(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{EventsPerEntry: 32})
	both := make(chan struct{})
	var running atomic.Int32
	handle := func(context.Context, consumer.Message) error {
		if running.Add(1) == 2 {
			close(both)
		}
		select {
		case <-both:
			return nil
		case <-time.After(5 * time.Second):
			return errors.New("the other member has nothing to do")
		}
	}
	for range 2 {
		bustest.Consume(t, bustest.Another(t, b), consumer.Subscription{Concurrency: 1, Prefetch: 1, Handle: handle})
	}
	publishPack(t, b, 2)
	servertest.Eventually(t, 10*time.Second, bustest.Settled(t, b, "readers"))
	select {
	case <-both:
	default:
		t.Error("one member handled both events")
	}
}

// TestABadEventWhileRedisIsOutOfMemory: its neighbours are acknowledged, it waits for
// its letter.
func TestABadEventWhileRedisIsOutOfMemory(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	b := bustest.Open(t, bus.Config{URL: srv.URL, EventsPerEntry: 32})
	publishPack(t, b, 6)
	if err := b.Client().ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	var rec bustest.Record
	var calls atomic.Int32
	bustest.Consume(t, b, consumer.Subscription{Handle: func(ctx context.Context, m consumer.Message) error {
		if m.Event.WorkflowID == "wf-2" {
			calls.Add(1)
			return consumer.Permanent(errors.New("never"))
		}
		return rec.Handle(ctx, m)
	}})
	servertest.Eventually(t, 10*time.Second, rec.Want(5))
	servertest.Eventually(t, 5*time.Second, func() error {
		all, err := inspect.New(b).Groups(t.Context())
		if err != nil || len(all) != 1 || all[0].Pending != 1 || all[0].Lag != 0 {
			return fmt.Errorf("groups %+v, %w; want the bad event pending alone", all, err)
		}
		return nil
	})
	if err := b.Client().ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	letters, err := inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{})
	if err != nil || len(letters) != 1 || letters[0].Class != "permanent" || letters[0].Attempts != 1 || calls.Load() != 1 {
		t.Errorf("dead letters %+v, %v after %d calls; want one after one", letters, err, calls.Load())
	}
}

// TestASharedEntryThatIsNone: what others write wrongly is a dead letter with all its bytes.
func TestASharedEntryThatIsNone(t *testing.T) {
	t.Parallel()
	one, two := bustest.Encode(t, bustest.Event(t, "wf-1", 1)), bustest.Encode(t, bustest.Event(t, "wf-2", 2))
	for name, tc := range map[string]struct{ data, seq, says string }{
		"an array without seq":  {"[" + one + "]", "", "must be a JSON object, is an array"},
		"more numbers":          {"[" + one + "]", "1 2", "more numbers"},
		"fewer numbers":         {"[" + one + "," + two + "," + one + "]", "1 2", "fewer numbers"},
		"a number that is none": {"[" + one + "," + two + "]", "1 x", "must be a number from 1"},
		"an event that is none": {"[" + one + `,{"id":"x"}]`, "1 2", "id"},
		"no array":              {one, "1 2", "is not valid JSON"},
		"an unfinished array":   {"[" + one + "," + two, "1 2", "is not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.Open(t, bus.Config{EventsPerEntry: 32})
			if err := b.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: b.Names().Stream(events.WorkflowProgressed, 0),
				Values: []string{"data", tc.data, "seq", tc.seq}}).Err(); err != nil {
				t.Fatal(err)
			}
			bustest.Consume(t, b, consumer.Subscription{Handle: func(context.Context, consumer.Message) error { return nil }})
			servertest.Eventually(t, 5*time.Second, func() error {
				letters, err := inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{})
				if err != nil || len(letters) != 1 {
					return fmt.Errorf("dead letters %+v, %w; want one", letters, err)
				}
				if l := letters[0]; l.Class != "malformed" || !strings.Contains(l.Error, tc.says) || string(l.Data) != tc.data {
					t.Errorf("the letter is %q, %s, %s; want an error with %q", l.Class, l.Error, l.Data, tc.says)
				}
				return nil
			})
		})
	}
}
