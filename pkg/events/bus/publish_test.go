package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
)

func TestPublishNumbersAWorkflow(t *testing.T) {
	for _, partitions := range []int{0, 4} {
		t.Run(fmt.Sprint(partitions, " partitions"), func(t *testing.T) {
			t.Parallel()
			b := bustest.Open(t, bus.Config{Partitions: partitions})
			var wg sync.WaitGroup
			var mu sync.Mutex
			seen := map[int64]bool{}
			for range 8 {
				wg.Go(func() {
					for range 25 {
						got, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1), bustest.Event(t, "wf-2", 2))
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						seen[got[0].Seq] = true
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			for seq := int64(1); seq <= 200; seq++ {
				if !seen[seq] {
					t.Fatalf("no event of wf-1 got seq %d; every number from 1 to 200 is due", seq)
				}
			}
		})
	}
}

func TestPublishKnowsAnIDWithinACall(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	e, other := bustest.Event(t, "wf-1", 1), bustest.Event(t, "wf-1", 2)
	got, err := b.Publish(t.Context(), e, other, e)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Seq != 1 || got[1].Seq != 2 || got[0].Duplicate || got[1].Duplicate {
		t.Errorf("the first two: %+v, want seq 1 and 2, both new", got[:2])
	}
	if !got[2].Duplicate || got[2].EntryID != got[0].EntryID || got[2].Seq != 1 {
		t.Errorf("the repeat: %+v, want a duplicate of %+v", got[2], got[0])
	}
}

func TestPublishKnowsAnIDAgain(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	e := bustest.Event(t, "wf-1", 1)
	first, err := b.Publish(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Publish(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if !again[0].Duplicate || again[0].EntryID != first[0].EntryID || again[0].Seq != first[0].Seq {
		t.Errorf("the repeat gave %+v; want a duplicate of %+v", again[0], first[0])
	}
	if n := b.Client().XLen(t.Context(), first[0].Stream).Val(); n != 1 {
		t.Errorf("the stream has %d entries; want 1", n)
	}
}

func TestPublishRefusesAnInvalidEvent(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	bad := bustest.Event(t, "wf-1", 1)
	bad.WorkflowID = "wf{1}"
	_, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1), bad)
	var fe *events.FieldError
	if !errors.As(err, &fe) || fe.Field != "workflow_id" {
		t.Fatalf("got %v; want a FieldError on workflow_id", err)
	}
	if n := b.Client().Exists(t.Context(), b.Names().Seqs(0)).Val(); n != 0 {
		t.Error("the good event of the refused call was added")
	}
}

func TestPublishWaitsForRedisToComeBack(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	b := bustest.Open(t, bus.Config{URL: srv.URL})
	srv.Kill()
	result := make(chan error, 1)
	go func() {
		_, err := b.Publish(context.Background(), bustest.Event(t, "wf-1", 1))
		result <- err
	}()
	if err := srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-result:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("publish did not go on after Redis came back")
	}
}

func TestCommitChangesStateAndPublishesOrNeither(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	ctx := t.Context()
	key, index := b.Names().Workflow("wf-1"), b.Names().Workflows(0)
	change := bus.Change{Key: key, Doc: []byte(`{"n":1}`), Index: []bus.IndexUpdate{{Key: index, Member: "wf-1", Score: 5}}}
	if _, err := b.Commit(ctx, change, bustest.Event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	if st, err := b.Load(ctx, key); err != nil || st.Rev != 1 || string(st.Doc) != `{"n":1}` {
		t.Fatalf("loaded %+v, %v; want revision 1", st, err)
	}

	e := bustest.Event(t, "wf-1", 2)
	if _, err := b.Commit(ctx, change, e); !errors.Is(err, bus.ErrConflict) {
		t.Fatalf("a stale revision gave %v; want bus.ErrConflict", err)
	}
	if n := b.Client().XLen(ctx, b.Names().Stream(e.Type, 0)).Val(); n != 1 {
		t.Errorf("%d events after the conflict; want 1", n)
	}

	change = bus.Change{Key: key, Rev: 1, Doc: []byte(`{"n":2}`), Index: []bus.IndexUpdate{{Key: index, Member: "wf-1", Remove: true}}}
	first, err := b.Commit(ctx, change, e)
	if err != nil {
		t.Fatal(err)
	}
	// The reply is lost, the caller repeats: it must learn that it had succeeded.
	again, err := b.Commit(ctx, change, e)
	if err != nil || again[0].Seq != first[0].Seq {
		t.Errorf("the repeat gave %+v, %v; want %+v", again, err, first)
	}
	if st, _ := b.Load(ctx, key); st.Rev != 2 {
		t.Errorf("revision %d after the repeat; want 2", st.Rev)
	}
	if n := b.Client().ZCard(ctx, index).Val(); n != 0 {
		t.Errorf("the index has %d members; want 0", n)
	}
}

func TestCommitByTwoOnlyOneWins(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 10 {
		wg.Go(func() {
			_, err := b.Commit(t.Context(), bus.Change{Key: b.Names().Workflow("wf-1"), Doc: []byte("x")}, bustest.Event(t, "wf-1", 1))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !errors.Is(err, bus.ErrConflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d commits on revision 0 succeeded; want 1", won)
	}
}

func BenchmarkPublish(b *testing.B) {
	bus := bustest.Open(b, bus.Config{})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := bus.Publish(b.Context(), bustest.Event(b, "wf-1", 1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// TestPublishSaysWhyItWaited: a caller whose time is up hears what Redis said.
func TestPublishSaysWhyItWaited(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	b := bustest.Open(t, bus.Config{URL: srv.URL})
	if err := b.Client().ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := b.Publish(ctx, bustest.Event(t, "wf-1", 1)); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("publishing ended with %v; want the deadline and Redis' OOM", err)
	}
}

// TestARepeatAmongNewEvents: the known one keeps its place, the others are added.
func TestARepeatAmongNewEvents(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	known, other, third := bustest.Event(t, "wf-1", 1), bustest.Event(t, "wf-1", 2), bustest.Event(t, "wf-1", 3)
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
	b := bustest.Open(t, bus.Config{})
	ctx := t.Context()
	e := bustest.Event(t, "wf-1", 1)
	if _, err := b.Publish(ctx, e); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{b.Names().Seen(0), b.Names().Seqs(0)} { // as if their time were over
		if err := b.Client().PExpire(ctx, key, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	next, err := b.Publish(ctx, bustest.Event(t, "wf-1", 2))
	if err != nil || next[0].Seq != 2 {
		t.Fatalf("the next event: %+v, %v; want seq 2", next, err)
	}
	if n := b.Client().Exists(ctx, b.Names().SeenBefore(0), b.Names().SeqsBefore(0)).Val(); n != 2 {
		t.Fatalf("%d of two hashes have turned", n)
	}
	again, err := b.Publish(ctx, e)
	if err != nil || !again[0].Duplicate || again[0].Seq != 1 {
		t.Errorf("the repeat gave %+v, %v; want a duplicate of seq 1", again, err)
	}
	for _, key := range []string{b.Names().Seen(0), b.Names().Seqs(0), b.Names().SeenBefore(0), b.Names().SeqsBefore(0)} {
		if ttl := b.Client().PTTL(ctx, key).Val(); ttl <= 0 {
			t.Errorf("%s is kept for ever", key)
		}
	}
}

// TestPublishTakesWhatReadersTake: what a reader would refuse is refused at once, with
// its reason, and nothing of the call is added.
func TestPublishTakesWhatReadersTake(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	good := bustest.Event(t, "wf-1", 1)
	for name, tc := range map[string]struct{ data, says string }{
		"a NUL":            {`{"percent":1,"stage":"audit","message":"a\u0000b"}`, "NUL"},
		"a key twice":      {`{"percent":1,"percent":2}`, "twice"},
		"a deep value":     {strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), "nested deeper"},
		"bytes, no text":   {"{\"message\":\"\xff\xfe\"}", "UTF-8"},
		"too many bytes":   {`{"message":"` + strings.Repeat("x", 1<<20) + `"}`, "at most"},
		"a key, twice far": {`{"a":{"b":1,"c":[{"d":1,"d":2}]}}`, "twice"},
	} {
		bad := bustest.Event(t, "wf-1", 2)
		bad.Data = json.RawMessage(tc.data)
		_, err := b.Publish(t.Context(), good, bad)
		var field *events.FieldError
		if !errors.As(err, &field) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "event 2 of 2") {
			t.Errorf("%s: %v; want a FieldError that says %q, of event 2 of 2", name, err, tc.says)
		}
	}
	if n := b.Client().XLen(t.Context(), b.Names().Stream(events.WorkflowProgressed, 0)).Val(); n != 0 {
		t.Errorf("%d entries were added by calls that failed", n)
	}
}
