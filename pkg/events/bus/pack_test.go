package bus

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
)

// publishPack publishes events of n workflows in one entry.
func publishPack(t *testing.T, b *Bus, n int) []Receipt {
	t.Helper()
	list := make([]events.Event, n)
	for i := range list {
		list[i] = event(t, fmt.Sprint("wf-", i), i)
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

// TestEventsPublishedTogetherShareAnEntry: by type, up to the limit, numbered in the
// order of the call all the same.
func TestEventsPublishedTogetherShareAnEntry(t *testing.T) {
	t.Parallel()
	b := open(t, Config{EventsPerEntry: 3})
	var list []events.Event
	for i := range 8 {
		e := event(t, "wf-1", i)
		if i%2 == 1 {
			var err error
			if e, err = events.New(events.WorkflowStarted, "wf-1", "tester", &events.WorkflowStartedData{Stage: events.Audit}); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, e)
	}
	receipts, err := b.Publish(t.Context(), list...)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range receipts {
		if r.Seq != int64(i+1) {
			t.Errorf("event %d of the call has seq %d", i+1, r.Seq)
		}
	}
	for typ, want := range map[events.Type]string{events.WorkflowProgressed: "1 3 5|7", events.WorkflowStarted: "2 4 6|8"} {
		stream := b.names.Stream(typ, 0)
		var seqs []string
		for _, m := range b.rdb.XRange(t.Context(), stream, "-", "+").Val() {
			seqs = append(seqs, fmt.Sprint(m.Values["seq"]))
			messages, err := MessagesOf(stream, m)
			if err != nil || len(messages) != len(strings.Fields(fmt.Sprint(m.Values["seq"]))) {
				t.Errorf("%s of %s reads as %+v, %v", m.ID, typ, messages, err)
			}
			for _, got := range messages {
				if want := list[got.Seq-1]; got.Event.ID != want.ID || string(got.Raw) != encode(t, want) {
					t.Errorf("seq %d is %s; want %s", got.Seq, got.Raw, encode(t, want))
				}
			}
		}
		if got := strings.Join(seqs, "|"); got != want {
			t.Errorf("entries of %s have seq %q; want %q", typ, got, want)
		}
	}
	var rec record
	consume(t, b, Subscription{Handle: rec.handle})
	servertest.Eventually(t, 5*time.Second, rec.want(8))
	for i, m := range rec.all() {
		if m.Seq != int64(i+1) || m.Attempt != 1 {
			t.Errorf("message %d is seq %d, attempt %d", i+1, m.Seq, m.Attempt)
		}
	}
}

// TestARepeatAmongNewEvents: the known one keeps its place, the others are added.
func TestARepeatAmongNewEvents(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	known, other, third := event(t, "wf-1", 1), event(t, "wf-1", 2), event(t, "wf-1", 3)
	first, err := b.Publish(t.Context(), known)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Publish(t.Context(), other, known, third)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Seq != 2 || got[2].Seq != 3 || got[0].Duplicate || got[2].Duplicate {
		t.Errorf("the new ones: %+v, %+v; want seq 2 and 3", got[0], got[2])
	}
	if !got[1].Duplicate || got[1].Seq != 1 || got[1].EntryID != first[0].EntryID {
		t.Errorf("the repeat: %+v; want a duplicate of %+v", got[1], first[0])
	}
}

// TestWhatIsKnownIsKeptWhenHashesTurn: an id outlives the turn to the next hash, and
// a workflow goes on with its numbers.
func TestWhatIsKnownIsKeptWhenHashesTurn(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	ctx := t.Context()
	e := event(t, "wf-1", 1)
	if _, err := b.Publish(ctx, e); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{b.names.Seen(0), b.names.Seqs(0)} { // as if their time were over
		if err := b.rdb.PExpire(ctx, key, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	next, err := b.Publish(ctx, event(t, "wf-1", 2))
	if err != nil || next[0].Seq != 2 {
		t.Fatalf("the next event: %+v, %v; want seq 2", next, err)
	}
	if n := b.rdb.Exists(ctx, b.names.SeenBefore(0), b.names.SeqsBefore(0)).Val(); n != 2 {
		t.Fatalf("%d of two hashes have turned", n)
	}
	again, err := b.Publish(ctx, e)
	if err != nil || !again[0].Duplicate || again[0].Seq != 1 {
		t.Errorf("the repeat gave %+v, %v; want a duplicate of seq 1", again, err)
	}
	for _, key := range []string{b.names.Seen(0), b.names.Seqs(0), b.names.SeenBefore(0), b.names.SeqsBefore(0)} {
		if ttl := b.rdb.PTTL(ctx, key).Val(); ttl <= 0 {
			t.Errorf("%s is kept for ever", key)
		}
	}
}

// TestABadEventCostsItsNeighboursNothing: each event of an entry is handled once, but
// for the bad one, which has all its attempts and becomes the only dead letter.
func TestABadEventCostsItsNeighboursNothing(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	receipts := publishPack(t, b, 20)
	var mu sync.Mutex
	attempts := map[string][]int{}
	consume(t, b, Subscription{MaxDeliveries: 3, Handle: func(_ context.Context, m Message) error {
		mu.Lock()
		defer mu.Unlock()
		attempts[m.Event.WorkflowID] = append(attempts[m.Event.WorkflowID], m.Attempt)
		switch m.Event.WorkflowID {
		case "wf-3":
			return errors.New("boom")
		case "wf-4":
			return Permanent(errors.New("never"))
		case "wf-5":
			if m.Attempt < 3 {
				return errors.New("not yet")
			}
		}
		return nil
	}})
	var letters []DeadLetter
	servertest.Eventually(t, 5*time.Second, func() (err error) {
		if letters, err = b.DeadLetters(t.Context(), "readers", LetterFilter{}); err != nil || len(letters) != 2 {
			return fmt.Errorf("dead letters %+v, %w; want two", letters, err)
		}
		return nil
	})
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
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
		want := map[string]DeadLetter{
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
	b := open(t, Config{})
	publishPack(t, b, 10)
	dead(t, b, "readers", 1)
	var rec record
	consume(t, b, Subscription{Handle: rec.handle})
	servertest.Eventually(t, 10*time.Second, rec.want(10))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	for _, m := range rec.all() {
		if m.Attempt != 2 || m.Stream != b.names.Replays("readers", 0) {
			t.Errorf("%s came as attempt %d from %s; want the second, in an entry of its own", m.Event.WorkflowID, m.Attempt, m.Stream)
		}
	}
}

// TestAKillerAmongNeighbours: what was in hand twice when its member died is suspected
// alone, though it shared an entry.
func TestAKillerAmongNeighbours(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	publishPack(t, b, 5)
	dead(t, b, "readers", 1)
	var rec record
	stop := consume(t, b, Subscription{MaxDeliveries: 3, Handle: func(ctx context.Context, m Message) error {
		if m.Event.WorkflowID == "wf-2" {
			<-ctx.Done() // it has not come back when the member leaves
			return context.Cause(ctx)
		}
		return rec.handle(ctx, m)
	}, HandlerTimeout: time.Minute, DrainTimeout: time.Nanosecond})
	servertest.Eventually(t, 10*time.Second, rec.want(4))
	stop()
	// As if it had not left but died, once more, and again.
	replays := b.names.Replays("readers", 0)
	left, err := b.rdb.XPendingExt(t.Context(), &redis.XPendingExtArgs{Stream: replays, Group: "readers", Start: "-", End: "+", Count: 10}).Result()
	if err != nil || len(left) != 1 {
		t.Fatalf("pending %+v, %v; want the killer alone", left, err)
	}
	if err := b.rdb.Do(t.Context(), "XCLAIM", replays, "readers", left[0].Consumer, 0, left[0].ID, "RETRYCOUNT", 2, "JUSTID").Err(); err != nil {
		t.Fatal(err)
	}
	consume(t, b, Subscription{MaxDeliveries: 3, Handle: rec.handle})
	servertest.Eventually(t, 10*time.Second, settled(t, b, "readers"))
	letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{})
	if err != nil || len(letters) != 1 || letters[0].WorkflowID != "wf-2" || letters[0].Class != "crash" || letters[0].Attempts != 3 {
		t.Errorf("dead letters %+v, %v; want wf-2, a crash after one attempt in the entry and two alone", letters, err)
	}
}

// TestLeavingInMidEntry: what is handled is not handled again by the successor, and
// what is not is, whether it was queued or cut off.
func TestLeavingInMidEntry(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	publishPack(t, b, 12)
	var first, second record
	var begun atomic.Int32
	stop := consume(t, b, Subscription{Concurrency: 2, DrainTimeout: 50 * time.Millisecond, Handle: func(ctx context.Context, m Message) error {
		if begun.Add(1) > 6 {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return first.handle(ctx, m)
	}})
	servertest.Eventually(t, 5*time.Second, func() error {
		if n := begun.Load(); n < 7 {
			return fmt.Errorf("%d begun", n)
		}
		return nil
	})
	stop()
	consume(t, b, Subscription{Handle: second.handle})
	servertest.Eventually(t, 5*time.Second, second.want(6))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	for _, m := range second.all() {
		if m.Attempt != 1 {
			t.Errorf("%s came as attempt %d; what was cut off does not count", m.Event.WorkflowID, m.Attempt)
		}
		if slices.ContainsFunc(first.all(), func(o Message) bool { return o.Event.ID == m.Event.ID }) {
			t.Errorf("%s was handled by both", m.Event.WorkflowID)
		}
	}
}

// TestAnOutageLeavesAnEntryWhole: nothing is taken apart or counted for it.
func TestAnOutageLeavesAnEntryWhole(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	publishPack(t, b, 5)
	var rec record
	var down atomic.Bool
	down.Store(true)
	var tries atomic.Int32
	consume(t, b, Subscription{HandleBatch: func(ctx context.Context, batch []Message) []error {
		tries.Add(1)
		errs := make([]error, len(batch))
		for i, m := range batch {
			if down.Load() {
				errs[i] = Unavailable(errors.New("down"))
			} else {
				errs[i] = rec.handle(ctx, m)
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
	servertest.Eventually(t, 10*time.Second, rec.want(5))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	if n := b.rdb.XLen(t.Context(), b.names.Replays("readers", 0)).Val(); n != 0 {
		t.Errorf("%d events were taken out of their entry", n)
	}
	for _, m := range rec.all() {
		if m.Attempt != 1 {
			t.Errorf("%s came as attempt %d; want 1", m.Event.WorkflowID, m.Attempt)
		}
	}
}

// TestMembersShareALargeEntry: one that may have a single event at once leaves the
// others of an entry to other members.
func TestMembersShareALargeEntry(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	both := make(chan struct{})
	var running atomic.Int32
	handle := func(context.Context, Message) error {
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
		consume(t, open(t, Config{URL: b.cfg.URL, Prefix: b.cfg.Prefix}), Subscription{Concurrency: 1, Prefetch: 1, Handle: handle})
	}
	publishPack(t, b, 2)
	servertest.Eventually(t, 10*time.Second, settled(t, b, "readers"))
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
	b := open(t, Config{URL: srv.URL})
	publishPack(t, b, 6)
	if err := b.rdb.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	var rec record
	var calls atomic.Int32
	consume(t, b, Subscription{Handle: func(ctx context.Context, m Message) error {
		if m.Event.WorkflowID == "wf-2" {
			calls.Add(1)
			return Permanent(errors.New("never"))
		}
		return rec.handle(ctx, m)
	}})
	servertest.Eventually(t, 10*time.Second, rec.want(5))
	servertest.Eventually(t, 5*time.Second, func() error {
		all, err := b.Groups(t.Context())
		if err != nil || len(all) != 1 || all[0].Pending != 1 || all[0].Lag != 0 {
			return fmt.Errorf("groups %+v, %w; want the bad event pending alone", all, err)
		}
		return nil
	})
	if err := b.rdb.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{})
	if err != nil || len(letters) != 1 || letters[0].Class != "permanent" || letters[0].Attempts != 1 || calls.Load() != 1 {
		t.Errorf("dead letters %+v, %v after %d calls; want one after one", letters, err, calls.Load())
	}
}

// TestASharedEntryThatIsNone: what others write wrongly is a dead letter with all its bytes.
func TestASharedEntryThatIsNone(t *testing.T) {
	t.Parallel()
	one, two := encode(t, event(t, "wf-1", 1)), encode(t, event(t, "wf-2", 2))
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
			b := open(t, Config{})
			if err := b.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: b.names.Stream(events.WorkflowProgressed, 0),
				Values: []string{"data", tc.data, "seq", tc.seq}}).Err(); err != nil {
				t.Fatal(err)
			}
			consume(t, b, Subscription{Handle: func(context.Context, Message) error { return nil }})
			servertest.Eventually(t, 5*time.Second, func() error {
				letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{})
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
