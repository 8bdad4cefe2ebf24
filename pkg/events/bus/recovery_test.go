package bus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
)

// dead makes a member that has read entries and stands still: it never raises its
// lease and never acknowledges.
func dead(t *testing.T, b *Bus, group string, n int) {
	t.Helper()
	other := open(t, Config{URL: b.cfg.URL, Prefix: b.cfg.Prefix, Partitions: b.cfg.Partitions, Member: "dead-member"})
	s := Subscription{Group: group, Types: []events.Type{events.WorkflowProgressed, events.WorkflowStarted},
		Handle: func(context.Context, Message) error { return nil }}.withDefaults()
	tn := newTenure(other, s, b.log)
	if !tn.join(t.Context()) {
		t.Fatal("could not join")
	}
	for part := range b.names.Parts() {
		res, err := b.rdb.Do(t.Context(), "XREADGROUP", "GROUP", group, "dead-member", "COUNT", n, "STREAMS",
			b.names.Stream(events.WorkflowProgressed, part), ">").Result()
		if err != nil || res == nil {
			t.Fatalf("the dead member read nothing: %v", err)
		}
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
	for _, partitions := range []int{0, 3} {
		b := open(t, Config{Partitions: partitions})
		var rec record
		consume(t, b, Subscription{Handle: rec.handle})
		for i := range 5 { // of several partitions
			deliver(t, b, fmt.Sprint("wf-", i), b.Member()) // but nobody tells the member
		}
		servertest.Eventually(t, 5*time.Second, rec.want(5))
		servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	}
}

// deliver adds an event and reads it under a consumer's name, in one step.
func deliver(t *testing.T, b *Bus, workflow, consumer string) {
	t.Helper()
	stream := b.names.Stream(events.WorkflowProgressed, b.names.Partition(workflow))
	servertest.Eventually(t, 5*time.Second, func() error {
		return b.rdb.XInfoConsumers(t.Context(), stream, "readers").Err()
	})
	got, err := b.rdb.Eval(t.Context(), `redis.call('XADD', KEYS[1], '*', 'data', ARGV[1], 'seq', 1)
		return redis.call('XREADGROUP', 'GROUP', 'readers', ARGV[2], 'STREAMS', KEYS[1], '>')`,
		[]string{stream}, encode(t, event(t, workflow, 1)), consumer).Result()
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
}

// TestAConsumerWithoutLeaseIsDead: its read reached Redis after the others had
// taken its lease away, and it never came back.
func TestAConsumerWithoutLeaseIsDead(t *testing.T) {
	t.Parallel()
	b := open(t, Config{})
	var rec record
	consume(t, b, Subscription{Handle: rec.handle})
	deliver(t, b, "wf-1", "ghost")
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
