package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"agentbus/deploy/bench/stack"
	"agentbus/pkg/devserver"
)

// services are one stack for each way of writing. Their rows stand beside each other.
func services(ctx context.Context, s *suite) error {
	full, fullShared, steady := written{0, 16, 1}, written{0, 16, shared}, written{10_000, 16, 1}
	loads := []written{{1000, 1, 1}, steady, {10_000, 16, shared}, {20_000, 16, shared}, {0, 1, 1}, {0, 1, shared}, full, fullShared}
	results := map[written]stack.Result{}
	for _, perEntry := range []int{1, shared} {
		if err := s.runStack(ctx, perEntry, loads, results); err != nil {
			return fmt.Errorf("%d events in an entry: %w", perEntry, err)
		}
	}
	for _, l := range loads {
		r := results[l]
		s.report.add(entry{Load: l.load(), PerEntry: l.perEntry, Stack: &r})
	}
	s.report.target(target{What: "rows committed, one event in an entry", Measured: results[full].PerSecond, Unit: "events/s", Wanted: 17_000})
	s.report.target(target{What: "rows committed, shared entries", Measured: results[fullShared].PerSecond, Unit: "events/s", Wanted: 20_800})
	for _, to := range []string{"row", "frame", "line"} {
		s.report.target(target{What: "publish to " + to + " at 10,000/s, p99", Measured: results[steady].Each[to].P99, Unit: "ms", Wanted: 50, AtMost: true})
	}
	s.report.target(target{What: "CPU per event, all processes, as fast as it goes", Measured: results[full].CPU(), Unit: "µs", Wanted: 90, AtMost: true})
	s.report.note("Rows: 14 of 20 types, by PostgreSQL's times of commits. Frames: 50 clients with a workflow each. Samples: upper bounds of the collector's buckets.")
	s.report.note("CPU per event is of all processes together; below what each took, this program (bench) with publishing and following the events.")
	return nil
}

// runStack measures those of the loads that are written so. The profiles are of the default way.
func (s *suite) runStack(ctx context.Context, perEntry int, loads []written, results map[written]stack.Result) (err error) {
	dir, err := os.MkdirTemp("", "agentbus-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, stop, err := s.redis(ctx, devserver.RedisOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	st, err := stack.Start(ctx, stack.Config{Dir: dir, Bin: s.bin, Redis: server, EventsPerEntry: perEntry})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	for _, l := range loads {
		if l.perEntry != perEntry {
			continue
		}
		load := s.load()
		load.Rate, load.Batch = l.rate, l.batch
		st.Profiles = ""
		if l == (written{0, 16, 1}) {
			st.Profiles = s.folder
		}
		if results[l], err = st.Run(ctx, load); err != nil {
			return fmt.Errorf("%s: %w", l.load(), err)
		}
	}
	if perEntry > 1 {
		return nil
	}
	return st.RedisStats(ctx, s.folder)
}
