package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

// TestRedisOutOfMemory: publishers hear what is wrong or wait, consumers drain,
// also one that joins only now; nobody is taken for dead, services stay alive, and
// no poison entry is acknowledged before its dead letter can be stored.
func TestRedisOutOfMemory(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	l := ledger.New("writers")
	s := &sink{l: l, group: "writers"}
	reg := prometheus.NewRegistry()
	b := open(t, bus.Config{URL: srv.URL}, nil)
	const backlog, poison = 2000, 10
	for i := range backlog {
		workflow := fmt.Sprint("wf-", i%50)
		if i%(backlog/poison) == 0 {
			workflow = "poison"
		}
		if _, err := l.Publish(t.Context(), b, event(t, workflow, i)); err != nil {
			t.Fatal(err)
		}
	}
	alive := staysAlive(t, srv.URL)
	admin := client(t, srv.URL)
	if err := admin.ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}

	// Joins now, with the memory full.
	for i := range 2 {
		cfg := bus.Config{URL: srv.URL}
		if i == 0 {
			cfg.Metrics = reg
		}
		consume(t, open(t, cfg, nil), consumer.Subscription{Group: "writers", Handle: func(ctx context.Context, m consumer.Message) error {
			if m.Event.WorkflowID == "poison" {
				return consumer.Permanent(errors.New("poison"))
			}
			return s.handle(ctx, m)
		}})
	}
	drained := func() error {
		if n := l.Effects("writers"); n != backlog-poison {
			return fmt.Errorf("%d events were handled; want %d", n, backlog-poison)
		}
		return nil
	}
	servertest.Eventually(t, 30*time.Second, drained)

	// A publisher with little time is told the reason; one with more waits.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	refused := event(t, "wf-refused", 1)
	if _, err := l.Publish(ctx, b, refused); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("publishing ended with %v; want an error that says OOM", err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := l.Publish(context.Background(), b, event(t, "wf-waiting", 1))
		waiting <- err
	}()
	before := effortOf(t, admin)
	// Long enough for a member that cannot raise its lease to be taken for dead.
	hold(t, claimTime)
	noStorm(t, 4, before, effortOf(t, admin)) // two members, the producer, the service
	if n := metric(t, reg, "agentbus_bus_claimed_total", nil); n > poison {
		t.Errorf("%v entries were claimed; want none but the waiting poison", n)
	}
	if found, err := inspect.New(b).DeadLetters(t.Context(), "writers", inspect.DeadLetterFilter{}); err != nil || len(found) > 0 {
		t.Errorf("%d dead letters, %v; want none while there is no memory", len(found), err)
	}
	pending, err := admin.XPending(t.Context(), b.Names().Stream("workflow.progressed", 0), "writers").Result()
	if err != nil || pending.Count != poison {
		t.Errorf("pending %+v, %v; want the %d poison entries, not acknowledged", pending, err, poison)
	}

	if err := admin.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	if err := <-waiting; err != nil {
		t.Errorf("the publisher that waited: %v", err)
	}
	recovery := recovered(t, since, 2*time.Minute, b, "writers")
	alive()
	if found := letters(t, l, b, "writers"); len(found) != poison {
		t.Errorf("%d dead letters; want %d", len(found), poison)
	}
	balanced(t, "Redis out of memory", 1, l, recovery)
}
