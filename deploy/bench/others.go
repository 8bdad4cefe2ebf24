package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"agentbus/deploy/bench/contender"
	"agentbus/deploy/bench/workload"
)

const (
	ours  = "agentbus"
	bare  = "bare go-redis loop"
	naive = "naive go-redis program"
	mill  = "Watermill, Redis Streams"
	jet   = "NATS JetStream, files"
)

// system moves events in calls of so many. perEntry is how many share an entry, of ours alone.
type system struct {
	name            string
	batch, perEntry int
}

// others takes turns, so that what else happens on the machine meets all of them; the medians count.
func others(ctx context.Context, s *suite) error {
	contenders := []struct {
		system
		start starter
	}{
		{system{bare, 1, 0}, withBare(contender.BareOptions{})}, {system{ours, 1, 1}, theBus(contender.BusOptions{})}, {system{ours, 1, shared}, theBus(contender.BusOptions{EventsPerEntry: shared})},
		{system{bare, 16, 0}, withBare(contender.BareOptions{})}, {system{ours, 16, 1}, theBus(contender.BusOptions{})}, {system{ours, 16, shared}, theBus(contender.BusOptions{EventsPerEntry: shared})},
		{system{naive, 1, 0}, contender.Naive},
		{system{mill, 1, 0}, contender.Watermill}, {system{mill, 16, 0}, contender.Watermill},
		{system{jet, 1, 0}, contender.JetStream}, {system{jet, 16, 0}, contender.JetStream},
	}
	results := make([][]workload.Result, len(contenders))
	for range s.rounds {
		for i, c := range contenders {
			l := s.load()
			l.Batch, l.For = c.batch, s.measure/2
			run := s.contend
			if c.name == jet {
				run = s.jetStream
			}
			r, err := run(ctx, l, groups, c.start)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			results[i] = append(results[i], r)
		}
	}
	rate := map[system]float64{}
	for i, c := range contenders {
		r := median(results[i])
		rate[c.system] = r.PerSecond
		s.report.add(entry{What: c.name, Load: calls(c.batch), PerEntry: c.perEntry, Result: &r})
	}
	for _, p := range []struct {
		system
		wanted float64
	}{
		{system{bare, 1, 0}, .65}, {system{bare, 16, 0}, .85}, {system{naive, 1, 0}, 0},
		{system{mill, 1, 0}, 0}, {system{mill, 16, 0}, 0}, {system{jet, 1, 0}, 0}, {system{jet, 16, 0}, 0},
	} {
		theirs := rate[p.system]
		s.report.ratio(ratio{Against: p.name, Batch: p.batch, UnderWay: workload.Publishers * p.batch, Wanted: p.wanted,
			Alone: rate[system{ours, p.batch, 1}] / theirs, Shared: rate[system{ours, p.batch, shared}] / theirs})
	}
	s.report.note("CPU per event is of this process, publishers and groups, and of the server. Medians of the runs, in turns.")
	return nil
}

func withBare(o contender.BareOptions) starter {
	return func(ctx context.Context, s contender.Setup) (contender.Contender, error) {
		return contender.Bare(ctx, s, o)
	}
}

// median is the run in the middle by events per second.
func median(runs []workload.Result) workload.Result {
	slices.SortFunc(runs, func(a, b workload.Result) int { return int(a.PerSecond - b.PerSecond) })
	return runs[len(runs)/2]
}

// jetStream is [suite.contend] over a server of its kind.
func (s *suite) jetStream(ctx context.Context, l workload.Load, groups int, start starter) (r workload.Result, err error) {
	dir, err := os.MkdirTemp("", "agentbus-bench-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := contender.StartNATS(ctx, dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	return contend(ctx, l, groups, server.URL, server.PID, start)
}
