package chaos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"agentbus/deploy/localstack"
	"agentbus/pkg/devserver/servertest"
)

// TestRollingRestarts replaces members one after the other under load, each by one of another name, as a
// deployment does.
func TestRollingRestarts(t *testing.T) {
	fresh := map[string]string{"BUS_MEMBER": ""} // a random name at each start
	s := newSystem(t, map[string]int{"db-writer": 3, "log-aggregator": 2},
		map[string]map[string]string{"db-writer": fresh, "log-aggregator": fresh})
	producers := s.startProducers(2, 5*time.Millisecond)
	members := slices.DeleteFunc(slices.Clone(s.Processes()), func(p *localstack.Process) bool { return !p.Running() })
	n := rounds(10, 100)
	for i := range n {
		p := members[i%len(members)]
		if err := p.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.drained(p)
		s.start(p)
	}
	producers.end()
	recovery := s.settled(time.Minute)
	for group, want := range map[string]int{dbWriters: 3, aggregators: 2} {
		servertest.Eventually(t, 40*time.Second, func() error { // one that could not take leave is found dead after 20 s
			g, err := s.group(group)
			if names := s.consumers(group); len(names) > want || g.Members != want {
				err = errors.Join(err, fmt.Errorf("%s has %d members and the consumer names %v, want %d", group, g.Members, names, want))
			}
			return err
		})
	}
	r := s.balance("rolling restart of every member", n, recovery)
	s.noLetters(r)
	s.wellMoved()
	for _, g := range r.Groups {
		if len(g.Duplicated) > 0 {
			t.Errorf("%s: %d effects twice, though every member could drain", g.Group, len(g.Duplicated))
		}
	}
}

// drained fails the test unless the process has ended with exit code 0.
func (s *system) drained(p *localstack.Process) {
	s.Helper()
	if end := p.Ended().Error(); !strings.Contains(end, "ended with exit status 0;") {
		s.Errorf("not drained: %s\n%s", end, ownLog(p.Log))
	}
}

// takesLeave ends a member by SIGTERM, fails the test unless it drains and leaves nothing in its group, and returns
// how long that took.
func (s *system) takesLeave(p *localstack.Process, group string) time.Duration {
	s.Helper()
	const grace = 25 * time.Second // SHUTDOWN_GRACE, of which a drain should take a fraction
	begun := time.Now()
	if err := p.Stop(s.Context()); err != nil {
		s.Fatal(err)
	}
	took := time.Since(begun)
	s.drained(p)
	if took > grace {
		s.Errorf("%s took %s to end", p.Name, took)
	}
	if held, _ := s.pending(group, p.Name); len(held) > 0 {
		s.Errorf("%s left %d entries pending, such as %+v", p.Name, len(held), held[0])
	}
	if names := s.consumers(group); slices.Contains(names, p.Name) {
		s.Errorf("%s left its name in the group", p.Name)
	}
	leases, err := s.bus.Client().HGetAll(s.Context(), s.bus.Names().Members(group, 0)).Result()
	if lease, left := leases[p.Name]; left || err != nil || len(leases) == 0 {
		s.Errorf("%s left its lease %q among %v, %v", p.Name, lease, leases, err)
	}
	return took
}

// TestSIGTERMUnderFullLoad ends every consumer while producers go as fast as Redis takes them.
func TestSIGTERMUnderFullLoad(t *testing.T) {
	groups := map[string]string{"db-writer": dbWriters, "log-aggregator": aggregators,
		"metrics-collector": "metrics_collectors", "websocket-manager": "websocket_workers"}
	replicas := map[string]int{}
	for service := range groups {
		replicas[service] = 2
	}
	s := newSystem(t, replicas, nil)
	n := rounds(1, 3)
	var slowest time.Duration
	for range n {
		producers := s.startProducers(8, 0)
		s.reach(1000)
		for _, p := range s.Processes() {
			if !p.Running() {
				continue // not part of this system
			}
			slowest = max(slowest, s.takesLeave(p, groups[p.Service]))
			s.start(p)
		}
		producers.end()
	}
	recovery := s.settled(2 * time.Minute)
	t.Logf("the slowest of %d ends took %s", 8*n, slowest.Round(time.Millisecond))
	r := s.balance("SIGTERM under full load", 8*n, recovery)
	s.noLetters(r)
	s.wellMoved()
}
