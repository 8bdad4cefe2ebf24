package chaos

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
)

// quartet is two groups of two members on one Redis, and a producer.
type quartet struct {
	srv      *devserver.Server
	l        *ledger.Ledger
	producer *bus.Bus
	logs     *logbook
}

var bothGroups = []string{"writers", "logs"}

// startQuartet starts it with sinks that apply an event id once.
func startQuartet(t *testing.T, config map[string]string) *quartet {
	t.Helper()
	return startQuartetOn(t, servertest.OwnRedis(t, devserver.RedisOptions{Config: config}))
}

func startQuartetOn(t *testing.T, srv *devserver.Server) *quartet {
	t.Helper()
	s := &quartet{srv: srv, l: ledger.New(bothGroups...), logs: &logbook{}}
	for _, group := range bothGroups {
		to := &sink{l: s.l, group: group, once: true}
		for range 2 {
			consume(t, open(t, bus.Config{URL: s.srv.URL}, s.logs), bus.Subscription{Group: group, Handle: to.handle})
		}
	}
	s.producer = open(t, bus.Config{URL: s.srv.URL}, s.logs)
	return s
}

// quiet wants at most a line each for going bad and getting well again, from each
// of the four members' duties: reading, acknowledging, housekeeping.
func (s *quartet) quiet(t *testing.T, faults int) {
	t.Helper()
	if n, most := s.logs.count(), faults*4*6; n > most {
		t.Errorf("%d log lines over %d faults; want at most %d:\n%s", n, faults, most, s.logs)
	}
}

// TestRedisKilled: kill -9 of Redis under load. With appendfsync always nothing
// acknowledged is lost. With everysec what was written to the system's cache
// survives the process; Redis delays that write by up to 2 s while a sync is
// running, so only what was acknowledged in these 2 s can be lost.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"always", "everysec"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			killRedis(t, startQuartet(t, map[string]string{"appendfsync": policy}), policy, policy)
		})
	}
}

// TestRedisKilledOnASlowDisk: the same while every sync takes a second, so that
// Redis holds its writes back.
func TestRedisKilledOnASlowDisk(t *testing.T) {
	long(t)
	shim := startShimmed(t, map[string]string{"appendfsync": "everysec"})
	shim.slowSync(t, time.Second)
	killRedis(t, startQuartetOn(t, shim.srv), "everysec", "everysec, slow disk")
}

func killRedis(t *testing.T, s *quartet, policy, name string) {
	t.Helper()
	ld := startLoad(t, s.l, s.producer, 400)
	kills := rounds(3, 10)
	var killed []time.Time
	for i := range kills {
		servertest.Eventually(t, 40*time.Second, ld.reaches(int64(500*(i+1))))
		killed = append(killed, time.Now())
		s.srv.Kill()
		if err := s.srv.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	since := time.Now()
	servertest.Eventually(t, 40*time.Second, ld.reaches(int64(500*(kills+1))))
	ld.stop()
	recovery := recovered(t, since, time.Minute, s.producer, bothGroups...)
	s.quiet(t, kills)
	r := s.l.Report()
	report(t, "Redis killed, appendfsync "+name, kills, r, recovery)
	for _, g := range r.Groups {
		if policy == "everysec" && ld.ackedWithin(2*time.Second, killed, g.Lost) {
			t.Logf("%s lost %d events of the 2 s before a kill", g.Group, len(g.Lost))
			continue
		}
		if len(g.Lost)+len(g.Duplicated)+len(g.Unexpected) > 0 {
			t.Errorf("%v", r.Err())
		}
	}
}

// TestRedisAway: Redis is stopped for 10 s, or hangs for 10 s. Publishers wait and
// repeat, consumers wait, nobody floods the log.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		away, on func(*quartet) error
	}{
		{"stopped", func(s *quartet) error { return s.srv.Stop(context.Background()) }, func(s *quartet) error { return s.srv.Restart(context.Background()) }},
		{"hangs", func(s *quartet) error { return syscall.Kill(s.srv.PID(), syscall.SIGSTOP) }, func(s *quartet) error { return syscall.Kill(s.srv.PID(), syscall.SIGCONT) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startQuartet(t, nil)
			ld := startLoad(t, s.l, s.producer, 400)
			servertest.Eventually(t, 30*time.Second, ld.reaches(500))
			if err := c.away(s); err != nil {
				t.Fatal(err)
			}
			hold(t, 10*time.Second)
			if err := c.on(s); err != nil {
				t.Fatal(err)
			}
			since := time.Now()
			servertest.Eventually(t, 30*time.Second, ld.reaches(1000))
			ld.stop()
			recovery := recovered(t, since, claimTime+10*time.Second, s.producer, bothGroups...)
			s.quiet(t, 1)
			if r := s.l.Report(); r.Unknown > 0 {
				t.Errorf("%d publishes ended without an outcome; want all to wait for Redis", r.Unknown)
			}
			balanced(t, "Redis "+c.name+" for 10 s", 1, s.l, recovery)
		})
	}
}

// ackedWithin tells whether each of ids was acknowledged within d before one of
// the moments, or as it came.
func (ld *load) ackedWithin(d time.Duration, moments []time.Time, ids []string) bool {
	ld.mu.Lock()
	defer ld.mu.Unlock()
	for _, id := range ids {
		near := false
		for _, m := range moments {
			before := m.Sub(ld.acked[id])
			near = near || (before < d && before > -100*time.Millisecond)
		}
		if !near {
			return false
		}
	}
	return len(ids) > 0
}

// TestRedisLosesData: the data goes under load, by FLUSHALL, by DEL of a stream, by
// XGROUP DESTROY. The groups are back within 5 s; what is lost is what stood in
// Redis at that moment, and nothing where only the group was destroyed.
func TestRedisLosesData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		loses bool
		do    func(ctx context.Context, s *quartet, stream string) error
	}{
		{"FLUSHALL", true, func(ctx context.Context, s *quartet, _ string) error {
			return s.producer.Client().FlushAll(ctx).Err()
		}},
		{"DEL of a stream", true, func(ctx context.Context, s *quartet, stream string) error {
			return s.producer.Client().Del(ctx, stream).Err()
		}},
		{"XGROUP DESTROY", false, func(ctx context.Context, s *quartet, stream string) error {
			return s.producer.Client().XGroupDestroy(ctx, stream, "writers").Err()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startQuartet(t, nil)
			ld := startLoad(t, s.l, s.producer, 400)
			stream := s.producer.Names().Stream("workflow.progressed", 0)
			losses := rounds(3, 10)
			var slowest time.Duration
			var moments []time.Time
			for i := range losses {
				servertest.Eventually(t, 30*time.Second, ld.reaches(int64(400*(i+1))))
				if err := c.do(t.Context(), s, stream); err != nil {
					t.Fatal(err)
				}
				since := time.Now()
				moments = append(moments, since)
				mark := event(t, fmt.Sprint("mark-", i), i)
				if _, err := s.l.Publish(t.Context(), s.producer, mark); err != nil {
					t.Fatal(err)
				}
				servertest.Eventually(t, 5*time.Second, had(s.l, mark.ID))
				slowest = max(slowest, time.Since(since))
			}
			ld.stop()
			recovered(t, time.Now(), 30*time.Second, s.producer, bothGroups...)
			s.quiet(t, losses)
			r := s.l.Report()
			report(t, "Redis loses data: "+c.name, losses, r, slowest)
			for _, g := range r.Groups {
				// An acknowledgement may be written down a little after Redis gave it.
				if len(g.Lost) > 0 && (!c.loses || !ld.ackedWithin(2*time.Second, moments, g.Lost)) {
					t.Errorf("%s: lost %d that did not stand in Redis at the moment of the loss", g.Group, len(g.Lost))
				}
				if len(g.Duplicated)+len(g.Unexpected) > 0 {
					t.Error(r.Err())
				}
			}
		})
	}
}
