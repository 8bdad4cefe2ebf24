package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
	"agentbus/pkg/events/bus/internal/wire"
)

const (
	floodMalformed, floodPermanent, floodGood = 400, 150, 300
	floodPrefetch                             = 50
)

// flood fills a Redis with poison and good events behind it, and takes its memory away.
func flood(t *testing.T) (b *bus.Bus, memory func(size string)) {
	t.Helper()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	b = bustest.Open(t, bus.Config{URL: srv.URL, Metrics: prometheus.NewRegistry()})
	for i := range floodMalformed {
		bustest.Add(t, b, events.WorkflowProgressed, "", "data", fmt.Sprint("no JSON ", i))
	}
	for i := range floodPermanent + floodGood {
		workflow := fmt.Sprint("wf-", i)
		if i < floodPermanent {
			workflow = fmt.Sprint("poison-", i)
		}
		if _, err := b.Publish(t.Context(), bustest.Event(t, workflow, i%101)); err != nil {
			t.Fatal(err)
		}
	}
	memory = func(size string) {
		if err := b.Client().ConfigSet(t.Context(), "maxmemory", size).Err(); err != nil {
			t.Error(err)
		}
	}
	memory("1mb")
	return b, memory
}

// floodSubscription handles what is good and refuses the rest for good.
func floodSubscription(rec *bustest.Record) consumer.Subscription {
	return consumer.Subscription{Group: "readers", Types: []events.Type{events.WorkflowProgressed}, Prefetch: floodPrefetch, Concurrency: 4,
		Handle: func(ctx context.Context, m consumer.Message) error {
			if strings.HasPrefix(m.Event.WorkflowID, "poison") {
				return consumer.Permanent(errors.New("poison"))
			}
			return rec.Handle(ctx, m)
		}}
}

// buried wants a letter for each poison entry, of the right class and after one attempt.
func buried(t *testing.T, b *bus.Bus) func() error {
	return func() error {
		letters, err := inspect.New(b).DeadLetters(t.Context(), "readers", inspect.DeadLetterFilter{Limit: 1 << 20})
		if err != nil {
			return err
		}
		got := make(map[string]int)
		for _, l := range letters {
			got[fmt.Sprint(l.Class, " after ", l.Attempts)]++
		}
		if want := map[string]int{"malformed after 1": floodMalformed, "permanent after 1": floodPermanent}; !maps.Equal(got, want) {
			return fmt.Errorf("dead letters %v; want %v", got, want)
		}
		return nil
	}
}

// unburied wants every poison entry pending, and no dead letter.
func unburied(t *testing.T, b *bus.Bus) func() error {
	return func() error {
		if n := b.Client().XLen(t.Context(), b.Names().DeadLetters("readers", 0)).Val(); n != 0 {
			return fmt.Errorf("%d dead letters without memory for them", n)
		}
		p, err := b.Client().XPending(t.Context(), b.Names().Stream(events.WorkflowProgressed, 0), "readers").Result()
		if err != nil || p.Count != floodMalformed+floodPermanent {
			return fmt.Errorf("pending %+v, %w; want the %d poison entries and no other", p, err, floodMalformed+floodPermanent)
		}
		return nil
	}
}

// TestPoisonWhileRedisIsOutOfMemory: eleven times more poison than a member may have
// in hand, and no memory for its dead letters. The good events behind it are handled,
// what the member holds is bounded, nothing is acknowledged without its letter, and
// with memory again all letters are there at once.
func TestPoisonWhileRedisIsOutOfMemory(t *testing.T) {
	t.Parallel()
	b, memory := flood(t)
	var rec bustest.Record
	stop := bustest.Consume(t, b, floodSubscription(&rec))
	most := 0
	good := func() error {
		most = max(most, bustest.Metric(t, b, "in_hand"))
		return rec.Want(floodGood)()
	}
	servertest.Eventually(t, 20*time.Second, good)
	servertest.Eventually(t, 10*time.Second, unburied(t, b))
	// A check could take what was put aside for stranded: it takes two of them.
	for end := time.Now().Add(5 * b.Wire().Intervals.Check); time.Now().Before(end); wire.Pause(t.Context(), time.Millisecond) {
		most = max(most, bustest.Metric(t, b, "in_hand"))
	}
	if err := unburied(t, b)(); err != nil || bustest.Metric(t, b, "dead_letters_waiting") != floodMalformed+floodPermanent {
		t.Errorf("%v; %d dead letters wait, want %d", err, bustest.Metric(t, b, "dead_letters_waiting"), floodMalformed+floodPermanent)
	}
	if most > 4*floodPrefetch {
		t.Errorf("%d entries were in hand; want the %d of Prefetch, as many letters, and little more", most, floodPrefetch)
	}
	if n := bustest.Metric(t, b, "claimed_total"); n != 0 {
		t.Errorf("%d entries were taken for stranded; want none", n)
	}

	memory("0")
	since := time.Now()
	servertest.Eventually(t, 5*time.Second, buried(t, b))
	t.Logf("all %d letters %v after there was memory; at most %d entries in hand", floodMalformed+floodPermanent, time.Since(since).Round(time.Millisecond), most)
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "readers"))
	for _, name := range []string{"in_hand", "dead_letters_waiting"} {
		if n := bustest.Metric(t, b, name); n != 0 {
			t.Errorf("%s is %d with nothing to do", name, n)
		}
	}
	stop()
	if err := rec.Want(floodGood)(); err != nil {
		t.Error(err)
	}
}

// TestLeavingWhileRedisIsOutOfMemory: a member that leaves with letters unwritten
// is not held up by them, and hands their entries over.
func TestLeavingWhileRedisIsOutOfMemory(t *testing.T) {
	t.Parallel()
	b, memory := flood(t)
	var first, second bustest.Record
	stop := bustest.Consume(t, b, floodSubscription(&first))
	servertest.Eventually(t, 20*time.Second, first.Want(floodGood))
	servertest.Eventually(t, 10*time.Second, unburied(t, b))
	since := time.Now()
	stop()
	if took := time.Since(since); took > 2*wire.WriteTimeout {
		t.Errorf("leaving took %v; want the %v that it tries to write letters, and little more", took, wire.WriteTimeout)
	}
	if err := unburied(t, b)(); err != nil {
		t.Error(err)
	}
	bustest.Consume(t, bustest.Another(t, b), floodSubscription(&second))
	memory("0")
	servertest.Eventually(t, 20*time.Second, func() error {
		n := b.Client().XLen(t.Context(), b.Names().DeadLetters("readers", 0)).Val()
		if n != floodMalformed+floodPermanent {
			return fmt.Errorf("%d dead letters; want %d", n, floodMalformed+floodPermanent)
		}
		return nil
	})
	servertest.Eventually(t, 10*time.Second, bustest.Settled(t, b, "readers"))
	if n := len(second.All()); n != 0 {
		t.Errorf("%d good events were handled again", n)
	}
}
