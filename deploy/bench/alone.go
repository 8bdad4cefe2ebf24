package main

import (
	"context"

	"agentbus/deploy/bench/contender"
)

func busAlone(ctx context.Context, s *suite) error {
	for _, c := range []written{
		{0, 1, 1}, {0, 1, shared}, {0, 16, 1}, {0, 16, shared},
		{1000, 1, 1}, {10_000, 1, 1}, {10_000, 1, shared}, {20_000, 16, 1},
	} {
		l := s.load()
		l.Rate, l.Batch = c.rate, c.batch
		r, err := s.contend(ctx, l, groups, theBus(contender.BusOptions{EventsPerEntry: c.perEntry}))
		if err != nil {
			return err
		}
		s.report.add(entry{What: "publish to handler", Load: c.load(), PerEntry: c.perEntry, Result: &r})
		if c.rate == 10_000 && c.perEntry == 1 {
			s.report.target(target{What: "publish to handler at 10,000/s, p50", Measured: r.Latency.P50, Unit: "ms", Wanted: 2, AtMost: true})
			s.report.target(target{What: "publish to handler at 10,000/s, p99", Measured: r.Latency.P99, Unit: "ms", Wanted: 10, AtMost: true})
		}
	}
	return nil
}
