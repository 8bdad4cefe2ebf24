package bus

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
)

const (
	floodMalformed, floodPermanent, floodGood = 400, 150, 300
	floodPrefetch                             = 50
)

// flood fills a Redis with poison and good events behind it, and takes its memory away.
func flood(t *testing.T) (b *Bus, memory func(size string)) {
	t.Helper()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	b = open(t, Config{URL: srv.URL, Metrics: prometheus.NewRegistry()})
	for i := range floodMalformed {
		add(t, b, events.WorkflowProgressed, "", "data", fmt.Sprint("no JSON ", i))
	}
	for i := range floodPermanent + floodGood {
		workflow := fmt.Sprint("wf-", i)
		if i < floodPermanent {
			workflow = fmt.Sprint("poison-", i)
		}
		if _, err := b.Publish(t.Context(), event(t, workflow, i%101)); err != nil {
			t.Fatal(err)
		}
	}
	memory = func(size string) {
		if err := b.rdb.ConfigSet(t.Context(), "maxmemory", size).Err(); err != nil {
			t.Error(err)
		}
	}
	memory("1mb")
	return b, memory
}

// floodSubscription handles what is good and refuses the rest for good.
func floodSubscription(rec *record) Subscription {
	return Subscription{Group: "readers", Types: []events.Type{events.WorkflowProgressed}, Prefetch: floodPrefetch, Concurrency: 4,
		Handle: func(ctx context.Context, m Message) error {
			if strings.HasPrefix(m.Event.WorkflowID, "poison") {
				return Permanent(errors.New("poison"))
			}
			return rec.handle(ctx, m)
		}}
}

// buried wants a letter for each poison entry, of the right class and after one attempt.
func buried(t *testing.T, b *Bus) func() error {
	return func() error {
		letters, err := b.DeadLetters(t.Context(), "readers", LetterFilter{Limit: 1 << 20})
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
func unburied(t *testing.T, b *Bus) func() error {
	return func() error {
		if n := b.rdb.XLen(t.Context(), b.names.DeadLetters("readers", 0)).Val(); n != 0 {
			return fmt.Errorf("%d dead letters without memory for them", n)
		}
		p, err := b.rdb.XPending(t.Context(), b.names.Stream(events.WorkflowProgressed, 0), "readers").Result()
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
	var rec record
	tn := newTenure(b, floodSubscription(&rec).withDefaults(), b.log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tn.run(ctx) }()
	most := 0
	good := func() error {
		most = max(most, tn.hand.len())
		return rec.want(floodGood)()
	}
	servertest.Eventually(t, 20*time.Second, good)
	servertest.Eventually(t, 10*time.Second, unburied(t, b))
	// A look could take what was put aside for stranded: it takes two of them.
	looks := tn.acks.undertaker.aside()
	for end := time.Now().Add(5 * b.rhythm.look); time.Now().Before(end); pause(ctx, time.Millisecond) {
		most = max(most, tn.hand.len())
	}
	if err := unburied(t, b)(); err != nil || looks != tn.acks.undertaker.aside() || looks < floodMalformed {
		t.Errorf("%v; %d entries were put aside, now %d: want most of them, left alone", err, looks, tn.acks.undertaker.aside())
	}
	if most > 4*floodPrefetch {
		t.Errorf("%d entries were in hand; want the %d of Prefetch, as many letters, and little more", most, floodPrefetch)
	}
	families, err := b.cfg.Metrics.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n := f.GetMetric()[0].GetCounter().GetValue(); f.GetName() == "agentbus_bus_claimed_total" && n != 0 {
			t.Errorf("%v entries were taken for stranded; want none", n)
		}
	}

	memory("0")
	since := time.Now()
	servertest.Eventually(t, 5*time.Second, buried(t, b))
	t.Logf("all %d letters %v after there was memory; at most %d entries in hand", floodMalformed+floodPermanent, time.Since(since).Round(time.Millisecond), most)
	servertest.Eventually(t, 5*time.Second, settled(t, b, "readers"))
	if n := tn.hand.len(); n != 0 {
		t.Errorf("%d entries are still in hand", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := rec.want(floodGood)(); err != nil {
		t.Error(err)
	}
}

// TestLeavingWhileRedisIsOutOfMemory: a member that leaves with letters unwritten
// is not held up by them, and hands their entries over.
func TestLeavingWhileRedisIsOutOfMemory(t *testing.T) {
	t.Parallel()
	b, memory := flood(t)
	var first, second record
	stop := consume(t, b, floodSubscription(&first))
	servertest.Eventually(t, 20*time.Second, first.want(floodGood))
	servertest.Eventually(t, 10*time.Second, unburied(t, b))
	since := time.Now()
	stop()
	if took := time.Since(since); took > 2*ackPatience {
		t.Errorf("leaving took %v; want the %v that it tries to write letters, and little more", took, ackPatience)
	}
	if err := unburied(t, b)(); err != nil {
		t.Error(err)
	}
	consume(t, open(t, Config{URL: b.cfg.URL, Prefix: b.cfg.Prefix}), floodSubscription(&second))
	memory("0")
	servertest.Eventually(t, 20*time.Second, func() error {
		n := b.rdb.XLen(t.Context(), b.names.DeadLetters("readers", 0)).Val()
		if n != floodMalformed+floodPermanent {
			return fmt.Errorf("%d dead letters; want %d", n, floodMalformed+floodPermanent)
		}
		return nil
	})
	servertest.Eventually(t, 10*time.Second, settled(t, b, "readers"))
	if n := len(second.all()); n != 0 {
		t.Errorf("%d good events were handled again", n)
	}
}
