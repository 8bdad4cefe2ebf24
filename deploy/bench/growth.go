package main

import (
	"context"
	"errors"
	"fmt"

	"agentbus/deploy/bench/contender"
	"agentbus/deploy/bench/workload"
	"agentbus/pkg/devserver"
)

func growth(ctx context.Context, s *suite) error {
	for _, n := range []int{1, 2, 4, 8} {
		l := s.load()
		l.For /= 2
		r, err := s.contend(ctx, l, n, theBus(contender.BusOptions{}))
		if err != nil {
			return err
		}
		s.report.add(entry{What: fmt.Sprintf("groups: %d", n), Load: calls(1), PerEntry: 1, Result: &r})
	}
	for _, n := range []int{2, 4} {
		l := s.load()
		l.For /= 2
		r, err := s.contend(ctx, l, groups, theBus(contender.BusOptions{Members: n}))
		if err != nil {
			return err
		}
		s.report.add(entry{What: fmt.Sprintf("members a group: %d", n), Load: calls(1), PerEntry: 1, Result: &r})
	}
	for _, n := range []int{100, 100_000} {
		l := s.load()
		l.For, l.Workflows = l.For/2, n
		r, err := s.contend(ctx, l, groups, theBus(contender.BusOptions{}))
		if err != nil {
			return err
		}
		s.report.add(entry{What: fmt.Sprintf("workflows: %d", n), Load: calls(1), PerEntry: 1, Result: &r})
	}
	for _, perEntry := range []int{1, shared} {
		if err := s.coldStart(ctx, perEntry); err != nil {
			return err
		}
	}
	return nil
}

// coldStart has four groups begin with a backlog.
func (s *suite) coldStart(ctx context.Context, perEntry int) (err error) {
	server, stop, err := s.redis(ctx, devserver.RedisOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	r, err := contender.ColdStart(ctx, contender.Setup{URL: server.URL, Groups: groups}, s.backlog, perEntry)
	if err != nil {
		return err
	}
	s.report.note(fmt.Sprintf("backlog of %d events, up to %d in an entry, cold start, four groups in one process: %.0f events/s through all groups, all handled after %.1f s; peak %.0f MiB in the process, %.0f MiB in Redis",
		s.backlog, perEntry, r.PerSecond, r.Seconds, r.PeakMiB, workload.PeakMiB(server.PID())))
	return nil
}
