package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/pkg/devserver"
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

// TestOutcomes is the table of the design: what the handler says, what the bus does.
func TestOutcomes(t *testing.T) {
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		handle   func(attempt int) error
		attempts int
		letter   string // class of the dead letter, or none
	}{
		"nil acknowledges":             {func(int) error { return nil }, 1, ""},
		"an error is retried":          {func(n int) error { return map[bool]error{true: boom}[n < 3] }, 3, ""},
		"errors up to the limit":       {func(int) error { return boom }, 5, "error"},
		"permanent at once":            {func(int) error { return Permanent(boom) }, 1, "permanent"},
		"a panic up to the limit":      {func(int) error { panic("ouch") }, 5, "panic"},
		"unavailable is not counted":   {func(n int) error { return map[bool]error{true: Unavailable(boom)}[n < 4] }, 4, ""},
		"a handler out of time":        {func(int) error { return context.DeadlineExceeded }, 5, "timeout"},
		"wrapped permanent is at once": {func(int) error { return fmt.Errorf("store: %w", Permanent(boom)) }, 1, "permanent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, Config{})
			var calls atomic.Int32
			var good record
			consume(t, b, Subscription{Handle: func(ctx context.Context, m Message) error {
				if m.Event.WorkflowID != "bad" {
					return good.handle(ctx, m)
				}
				return tc.handle(int(calls.Add(1)))
			}})
			if _, err := b.Publish(t.Context(), event(t, "bad", 1), event(t, "good", 1)); err != nil {
				t.Fatal(err)
			}
			servertest.Eventually(t, 10*time.Second, good.want(1))
			servertest.Eventually(t, 10*time.Second, settled(t, b, "readers"))
			if got := int(calls.Load()); got != tc.attempts {
				t.Errorf("the handler ran %d times; want %d", got, tc.attempts)
			}
			letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tc.letter == "" && len(letters) > 0:
				t.Errorf("a dead letter was written: %+v", letters[0])
			case tc.letter != "" && (len(letters) != 1 || letters[0].Class != tc.letter || letters[0].Attempts != tc.attempts):
				t.Errorf("dead letters %+v; want one of class %s after %d attempts", letters, tc.letter, tc.attempts)
			}
		})
	}
}

func TestMalformedEntriesBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	good := encode(t, event(t, "wf-1", 1))
	for what, fields := range map[string][]any{
		"not JSON":     {"data", `{"id":`},
		"no data":      {"payload", good},
		"wrong stream": {"data", strings.Replace(good, "workflow.progressed", "audit.started", 1)},
		"unknown type": {"data", strings.Replace(good, "workflow.progressed", "workflow.paused", 1)},
		"too large":    {"data", strings.Repeat("x", events.MaxEventBytes+1)},
	} {
		add(t, b, events.WorkflowProgressed, "wf-1", append(fields, "note", what)...)
	}
	add(t, b, events.WorkflowProgressed, "wf-1", "data", good)
	var rec record
	consume(t, b, Subscription{Handle: rec.handle})
	servertest.Eventually(t, 5*time.Second, rec.want(1))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{Class: "malformed"})
	if err != nil || len(letters) != 5 {
		t.Fatalf("%d dead letters, %v; want 5", len(letters), err)
	}
	for _, l := range letters {
		if l.Error == "" || l.Stream == "" || l.EntryID == "" {
			t.Errorf("a dead letter without its circumstances: %+v", l)
		}
	}
}

func TestBatchIsolatesItsPoison(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	var rec record
	for i := range 100 {
		if _, err := b.Publish(t.Context(), event(t, fmt.Sprint("wf-", i%7), i)); err != nil {
			t.Fatal(err)
		}
	}
	consume(t, b, Subscription{HandleBatch: func(ctx context.Context, batch []Message) []error {
		errs := make([]error, len(batch))
		for i, m := range batch {
			if strings.Contains(string(m.Raw), `"percent":42,`) {
				errs[i] = Permanent(errors.New("poison"))
				continue
			}
			_ = rec.handle(ctx, m)
		}
		return errs
	}})
	servertest.Eventually(t, 5*time.Second, rec.want(99))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	if letters, _ := b.DeadLetters(t.Context(), "readers", LetterFilter{}); len(letters) != 1 {
		t.Errorf("%d dead letters; want 1", len(letters))
	}
}

func TestReplayReachesItsGroupAlone(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	var mended atomic.Bool
	var one, two record
	consume(t, b, Subscription{Group: "one", Handle: func(ctx context.Context, m Message) error {
		if !mended.Load() {
			return Permanent(errors.New("not yet"))
		}
		return one.handle(ctx, m)
	}})
	consume(t, b, Subscription{Group: "two", Handle: two.handle})
	if _, err := b.Publish(t.Context(), event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	var letters []DeadLetter
	servertest.Eventually(t, 5*time.Second, func() (err error) {
		if letters, err = b.DeadLetters(t.Context(), "one", LetterFilter{}); len(letters) == 0 {
			return errors.Join(err, errors.New("no dead letter yet"))
		}
		return err
	})
	mended.Store(true)
	if err := b.Replay(t.Context(), "one", letters[0].ID, "tester"); err != nil {
		t.Fatal(err)
	}
	if err := b.Replay(t.Context(), "one", letters[0].ID, "tester"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a second replay gave %v; want ErrNotFound", err)
	}
	servertest.Eventually(t, 5*time.Second, one.want(1))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "one"))
	if m := one.all()[0]; m.Seq != 1 || m.Attempt != 1 {
		t.Errorf("replayed as seq %d attempt %d; want 1 and 1", m.Seq, m.Attempt)
	}
	if got := len(two.all()); got != 1 {
		t.Errorf("group two saw the event %d times; want once", got)
	}
}

// dead makes a member that has read entries and stands still: it never raises its
// lease and never acknowledges.
func dead(t *testing.T, b *Bus, group string, n int) {
	t.Helper()
	other := open(t, Config{URL: b.cfg.URL, Prefix: b.cfg.Prefix, Member: "dead-member"})
	s := Subscription{Group: group, Types: []events.Type{events.WorkflowProgressed, events.WorkflowStarted},
		Handle: func(context.Context, Message) error { return nil }}.withDefaults()
	tn := newTenure(other, s, b.log)
	if !tn.join(t.Context()) {
		t.Fatal("could not join")
	}
	res, err := b.rdb.Do(t.Context(), "XREADGROUP", "GROUP", group, "dead-member", "COUNT", n, "STREAMS",
		b.names.Stream(events.WorkflowProgressed, 0), ">").Result()
	if err != nil || res == nil {
		t.Fatalf("the dead member read nothing: %v", err)
	}
}

func TestADeadMembersEntriesMove(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	for i := range 30 {
		if _, err := b.Publish(t.Context(), event(t, fmt.Sprint("wf-", i), i)); err != nil {
			t.Fatal(err)
		}
	}
	dead(t, b, "readers", 20)
	var rec record
	consume(t, b, Subscription{Handle: rec.handle})
	servertest.Eventually(t, 10*time.Second, rec.want(30))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	servertest.Eventually(t, 5*time.Second, func() error {
		consumers, err := b.rdb.XInfoConsumers(t.Context(), b.names.Stream(events.WorkflowProgressed, 0), "readers").Result()
		if err != nil || len(consumers) != 1 {
			return fmt.Errorf("%d consumers, %w; want the living one alone", len(consumers), err)
		}
		return nil
	})
}

func TestAMemberGoesOnWithItsOwnEntries(t *testing.T) {
	t.Parallel()
	b := open(t, Config{Member: "dead-member"}) // restarted under its old name
	if _, err := b.Publish(t.Context(), event(t, "wf-1", 1), event(t, "wf-1", 2)); err != nil {
		t.Fatal(err)
	}
	dead(t, b, "readers", 1)
	b.rhythm.look = time.Hour // not by looking around
	var rec record
	consume(t, b, Subscription{Handle: rec.handle})
	servertest.Eventually(t, 5*time.Second, rec.want(2))
	if first := rec.all()[0]; first.Seq != 1 || first.Attempt != 2 {
		t.Errorf("first came seq %d as attempt %d; want its own pending one, seq 1 as attempt 2", first.Seq, first.Attempt)
	}
}

func TestALostReadReplyIsFoundAgain(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	var rec record
	consume(t, b, Subscription{Handle: rec.handle})
	servertest.Eventually(t, 5*time.Second, func() error {
		_, err := b.rdb.XInfoConsumers(t.Context(), b.names.Stream(events.WorkflowProgressed, 0), "readers").Result()
		return err
	})
	// Delivered to the member, but nobody told it.
	stream := b.names.Stream(events.WorkflowProgressed, 0)
	got, err := b.rdb.Eval(t.Context(), `redis.call('XADD', KEYS[1], '*', 'data', ARGV[1], 'seq', 1)
		return redis.call('XREADGROUP', 'GROUP', 'readers', ARGV[2], 'STREAMS', KEYS[1], '>')`,
		[]string{stream}, encode(t, event(t, "wf-1", 1)), b.Member()).Result()
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
	servertest.Eventually(t, 5*time.Second, rec.want(1))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
}

// TestAKillerIsIsolated: an entry whose handler kills its member again and again
// becomes a dead letter; its neighbours are handled.
func TestAKillerIsIsolated(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	for i := range 10 {
		if _, err := b.Publish(t.Context(), event(t, fmt.Sprint("wf-", i), i)); err != nil {
			t.Fatal(err)
		}
	}
	dead(t, b, "readers", 10)
	// As if four members had died over the first entry.
	stream := b.names.Stream(events.WorkflowProgressed, 0)
	first := b.rdb.XRangeN(t.Context(), stream, "-", "+", 1).Val()[0].ID
	if err := b.rdb.Do(t.Context(), "XCLAIM", stream, "readers", "dead-member", 0, first, "RETRYCOUNT", 5, "JUSTID").Err(); err != nil {
		t.Fatal(err)
	}
	var rec record
	consume(t, b, Subscription{Handle: rec.handle})
	servertest.Eventually(t, 10*time.Second, rec.want(9))
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{})
	if err != nil || len(letters) != 1 || letters[0].Class != "crash" || letters[0].EntryID != first {
		t.Errorf("dead letters %+v, %v; want the first entry, class crash", letters, err)
	}
}

func TestALostGroupIsMadeAgain(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	b := open(t, Config{URL: srv.URL})
	var rec record
	consume(t, b, Subscription{Handle: rec.handle})
	stream := b.names.Stream(events.WorkflowProgressed, 0)
	for i, loss := range []func() error{
		func() error { return b.rdb.FlushAll(t.Context()).Err() },
		func() error { return b.rdb.Del(t.Context(), stream).Err() },
		func() error { return b.rdb.XGroupDestroy(t.Context(), stream, "readers").Err() },
	} {
		if _, err := b.Publish(t.Context(), event(t, fmt.Sprint("before-", i), 1)); err != nil {
			t.Fatal(err)
		}
		servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
		before := len(rec.all())
		if err := loss(); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Publish(t.Context(), event(t, fmt.Sprint("after-", i), 1)); err != nil {
			t.Fatal(err)
		}
		servertest.Eventually(t, 5*time.Second, func() error {
			for _, m := range rec.all()[before:] {
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
	b := open(t, Config{})
	release := make(chan struct{})
	var calls atomic.Int32
	handle := func(ctx context.Context, _ Message) error {
		calls.Add(1)
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	other := open(t, Config{Prefix: b.cfg.Prefix})
	consume(t, b, Subscription{Handle: handle})
	consume(t, other, Subscription{Handle: handle})
	if _, err := b.Publish(t.Context(), event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	// Ten times longer than it takes to declare a member dead.
	time.AfterFunc(30*b.rhythm.look, func() { close(release) })
	<-release
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	if calls.Load() != 1 {
		t.Errorf("the entry was run %d times; want once", calls.Load())
	}
}

func TestAMemberThatStoodStillJoinsAnew(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	cause := make(chan error, 10)
	var calls atomic.Int32
	consume(t, b, Subscription{Handle: func(ctx context.Context, _ Message) error {
		if calls.Add(1) > 1 {
			return nil
		}
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil // says it succeeded, but the entry is no longer its own
	}})
	if _, err := b.Publish(t.Context(), event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 5*time.Second, func() error {
		if calls.Load() == 0 {
			return errors.New("not called yet")
		}
		return nil
	})
	if err := b.rdb.HDel(t.Context(), b.names.Members("readers", 0), b.Member()).Err(); err != nil { // what a claim does
		t.Fatal(err)
	}
	if err := <-cause; !errors.Is(err, ErrLost) {
		t.Errorf("the handler's context ended with %v; want ErrLost", err)
	}
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
}

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

func TestTrimKeepsWhatAGroupHasNotAcknowledged(t *testing.T) {
	t.Parallel()
	b := open(t, Config{Retention: time.Nanosecond})
	var fast record
	consume(t, b, Subscription{Group: "fast", Handle: fast.handle})
	blocked := make(chan struct{})
	stopSlow := consume(t, b, Subscription{Group: "slow", Concurrency: 1, DrainTimeout: time.Millisecond, Handle: func(ctx context.Context, m Message) error {
		if m.Seq <= 3 {
			return nil
		}
		select {
		case <-blocked:
		case <-ctx.Done():
		}
		return context.Cause(ctx)
	}})
	for i := range 10 {
		if _, err := b.Publish(t.Context(), event(t, "wf-1", i)); err != nil {
			t.Fatal(err)
		}
	}
	stream := b.names.Stream(events.WorkflowProgressed, 0)
	length := func(want int64) func() error {
		return func() error {
			if n := b.rdb.XLen(t.Context(), stream).Val(); n != want {
				return fmt.Errorf("the stream has %d entries; want %d", n, want)
			}
			return nil
		}
	}
	servertest.Eventually(t, 5*time.Second, fast.want(10))
	servertest.Eventually(t, 5*time.Second, length(7)) // seq 4 to 10 wait for the slow group
	close(blocked)
	servertest.Eventually(t, 5*time.Second, length(0))
	stopSlow()
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
