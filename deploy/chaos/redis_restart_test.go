package chaos

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

// quartet is two groups of two members on one Redis, and a producer.
type quartet struct {
	srv      *devserver.Server
	url      string // where they find it: srv.URL, or a proxy's
	prefetch int    // of each member; 0 is the bus's default
	l        *ledger.Ledger
	producer *bus.Bus
	logs     *logbook
	held     sync.RWMutex // while it is locked no handler returns
}

var bothGroups = []string{"writers", "logs"}

// quartetBuses is how many clients of Redis a quartet is: four members, a producer.
const quartetBuses = 5

// startQuartet starts it with sinks that apply an event id once.
func startQuartet(t *testing.T, config map[string]string) *quartet {
	t.Helper()
	return startQuartetOn(t, servertest.OwnRedis(t, devserver.RedisOptions{Config: config}))
}

func startQuartetOn(t *testing.T, srv *devserver.Server) *quartet {
	t.Helper()
	s := &quartet{srv: srv, url: srv.URL}
	s.start(t)
	return s
}

func (s *quartet) start(t *testing.T) {
	t.Helper()
	s.l, s.logs = ledger.New(bothGroups...), &logbook{}
	for _, group := range bothGroups {
		to := &sink{l: s.l, group: group, once: true}
		handle := func(ctx context.Context, m consumer.Message) error {
			s.held.RLock()
			defer s.held.RUnlock()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return to.handle(ctx, m)
		}
		for range 2 {
			consume(t, open(t, bus.Config{URL: s.url}, s.logs), consumer.Subscription{Group: group, Prefetch: s.prefetch, Handle: handle})
		}
	}
	s.producer = open(t, bus.Config{URL: s.url}, s.logs)
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
	admin := client(t, s.srv.URL)
	var restarted time.Time
	for i := range kills + 1 {
		servertest.Eventually(t, 40*time.Second, ld.reaches(int64(500*(i+1))))
		if i > 0 {
			noStorm(t, quartetBuses, effort{0, restarted}, effortOf(t, admin))
		}
		if i == kills {
			break
		}
		killed = append(killed, time.Now())
		s.srv.Kill()
		if err := s.srv.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		restarted = time.Now()
	}
	ld.stop()
	recovery := recovered(t, restarted, time.Minute, s.producer, bothGroups...)
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
			srv := servertest.OwnRedis(t, devserver.RedisOptions{})
			p := newProxy(t, srv) // counts the attempts
			s := &quartet{srv: srv, url: p.url}
			s.start(t)
			ld := startLoad(t, s.l, s.producer, 400)
			servertest.Eventually(t, 30*time.Second, ld.reaches(500))
			if err := c.away(s); err != nil {
				t.Fatal(err)
			}
			before := p.effort()
			hold(t, 10*time.Second)
			noStorm(t, quartetBuses, before, p.effort())
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
