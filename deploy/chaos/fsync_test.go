package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// slowSyncTime is longer than the bus waits for a sync in one call.
const slowSyncTime = 1200 * time.Millisecond

// startSlow starts a Redis that has WAITAOF and syncs each second, slowly: what comes
// while a sync is running stays in its memory and is answered all the same.
func startSlow(t *testing.T) *shimmed {
	t.Helper()
	shim := startShimmedOn(t, devserver.RedisOptions{New: true, Config: map[string]string{"appendfsync": "everysec"}})
	shim.slowSync(t, slowSyncTime)
	return shim
}

// TestFsyncClassRedisKilled: kill -9 of Redis on a slow disk, under load of two
// classes, while what was answered is not yet written. The class fsync loses nothing
// acknowledged; the class async does, which shows that there was something to lose.
// What counts is what Redis has afterwards: a consumer may have had it before the kill.
func TestFsyncClassRedisKilled(t *testing.T) {
	t.Parallel()
	shim := startSlow(t)
	srv := shim.srv
	probe := client(t, srv.URL)
	type class struct {
		name string
		bus  *bus.Bus
		l    *ledger.Ledger
		load []*load
	}
	var classes []*class
	for _, name := range []string{"async", "fsync"} {
		c := &class{name: name, l: ledger.New("the AOF"), bus: open(t, bus.Config{URL: srv.URL, Prefix: name + ":", Durability: name}, nil)}
		// Each of a load's publishers waits for its event's sync before the next.
		for range map[string]int{"async": 1, "fsync": 8}[name] {
			c.load = append(c.load, startLoad(t, c.l, c.bus, 400))
		}
		classes = append(classes, c)
	}
	confirmed := classes[1]
	kills := rounds(3, 10)
	var recovery time.Duration
	for range kills {
		servertest.Eventually(t, 20*time.Second, grows(confirmed.l))
		servertest.Eventually(t, 20*time.Second, func() error {
			info := probe.InfoMap(t.Context(), "persistence").Val()["Persistence"]
			if info["aof_pending_bio_fsync"] != "1" || len(info["aof_buffer_length"]) < len("30000") {
				return fmt.Errorf("syncs running: %s, bytes not written: %s", info["aof_pending_bio_fsync"], info["aof_buffer_length"])
			}
			return nil
		})
		srv.Kill()
		since := time.Now()
		shim.slowSync(t, 0) // a start syncs a dozen times
		if err := srv.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		shim.slowSync(t, slowSyncTime)
		servertest.Eventually(t, 20*time.Second, grows(confirmed.l))
		recovery = max(recovery, time.Since(since))
	}
	shim.slowSync(t, 0)
	if err := probe.ConfigSet(t.Context(), "appendfsync", "always").Err(); err != nil { // the last answers soon
		t.Fatal(err)
	}
	var stopping sync.WaitGroup
	for _, c := range classes {
		for _, ld := range c.load {
			stopping.Go(ld.stop)
		}
	}
	stopping.Wait()
	for _, c := range classes {
		entries, err := probe.XRange(t.Context(), c.bus.Names().Stream(events.WorkflowProgressed, 0), "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range decoded(t, entries) {
			c.l.Effect("the AOF", e.ID)
		}
		r := c.l.Report()
		report(t, "Redis killed on a slow disk, class "+c.name, kills, r, recovery)
		switch lost := len(r.Groups[0].Lost); {
		case c.name == "fsync" && r.Err() != nil:
			t.Error(r.Err())
		case c.name == "async" && lost == 0:
			t.Error("async lost nothing: the fault did not bite")
		}
	}
}

// grows wants more events to be acknowledged than when it was called.
func grows(l *ledger.Ledger) func() error {
	before := l.Report().Acked
	return func() error {
		if now := l.Report().Acked; now <= before {
			return fmt.Errorf("still %d are acknowledged", now)
		}
		return nil
	}
}

// TestFsyncClassHoldsNobodyUp: types of the class fsync wait for a slow disk, the
// others, of the same bus, do not wait for them.
func TestFsyncClassHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	shim := startSlow(t)
	b := open(t, bus.Config{URL: shim.srv.URL, Durability: "async,workflow.progressed=fsync"}, nil)
	l := ledger.New()
	slow := startLoad(t, l, b, 400)
	servertest.Eventually(t, 20*time.Second, grows(l))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var took []time.Duration
	for i := range 300 {
		e, err := events.New(events.WorkflowStarted, fmt.Sprint("wf-", i%10), "chaos", &events.WorkflowStartedData{Stage: events.Audit})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := b.Publish(ctx, e); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	shim.slowSync(t, 0)
	slow.stop()
	r := l.Report()
	t.Logf("async: p50 %s, p99 %s; of the class fsync %d were acknowledged", took[150], took[297], r.Acked)
	if took[297] > slowSyncTime/2 {
		t.Errorf("async events waited %s (p99) beside a class whose syncs take %s", took[297], slowSyncTime)
	}
	if r.Failed+r.Unknown > 0 {
		t.Errorf("of the class fsync %d failed and %d are unknown", r.Failed, r.Unknown)
	}
}

// TestFsyncClassTellsWhatItWaitsFor: a caller whose time is up before the sync is
// told that its event is not confirmed, and publishing it again is safe.
func TestFsyncClassTellsWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	shim := startSlow(t)
	shim.slowSync(t, time.Minute)
	b := open(t, bus.Config{URL: shim.srv.URL, Durability: "fsync"}, nil)
	e := event(t, "wf", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	if _, err := b.Publish(ctx, e); err == nil || !strings.Contains(err.Error(), "not confirmed as fsync") {
		t.Errorf("before the sync: %v", err)
	}
	shim.slowSync(t, 0)
	shim.srv.Kill() // ends the sync that takes a minute
	if err := shim.srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), e); err != nil {
		t.Error(err)
	}
}
