package main

import (
	"context"
	"fmt"

	"agentbus/deploy/bench/contender"
	"agentbus/deploy/bench/workload"
	"agentbus/pkg/events"
)

// fairness measures longer than the others: 20 events/s have few that are the slowest in a hundred.
func fairness(ctx context.Context, s *suite) error {
	for _, perEntry := range []int{1, shared} {
		p99 := map[bool]float64{}
		for _, noise := range []bool{false, true} {
			l := workload.Load{Rate: contender.QuietRate, Types: []events.Type{contender.Quiet}, For: 2 * s.measure, WarmUp: s.warmUp}
			o := contender.UnevenOptions{EventsPerEntry: perEntry, Noise: noise}
			r, err := s.contend(ctx, l, 1, func(ctx context.Context, s contender.Setup) (contender.Contender, error) {
				return contender.Uneven(ctx, s, o)
			})
			if err != nil {
				return err
			}
			load := "alone"
			if noise {
				load = fmt.Sprintf("beside %d/s of another", contender.NoisyRate)
			}
			s.report.add(entry{What: fmt.Sprintf("a type of %d/s", contender.QuietRate), Load: load, PerEntry: perEntry,
				Result: &workload.Result{Published: r.Published, Latency: r.Latency}}) // the rest is that of the noise too
			p99[noise] = r.Latency.P99
		}
		s.report.target(target{What: fmt.Sprintf("p99 beside the noisy type to p99 alone, %d in an entry", perEntry), Measured: p99[true] / p99[false], Unit: "times", Wanted: 2, AtMost: true})
	}
	s.report.note("From publish call to the end of a handler that takes 10 ms. Two members of eight handlers: 1,600 events/s at most.")
	return nil
}
