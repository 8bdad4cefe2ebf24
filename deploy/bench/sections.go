package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"agentbus/deploy/bench/contender"
	"agentbus/deploy/bench/stack"
	"agentbus/deploy/bench/workload"
	"agentbus/pkg/devserver"
	"agentbus/pkg/events/bus/consumer"
)

const (
	ours       = "agentbus"
	bare       = "bare go-redis loop"
	naive      = "naive go-redis program"
	mill       = "Watermill, Redis Streams"
	jet        = "NATS JetStream, files"
	publishers = "16 publishers"
	batched    = "16 publishers, 16 events a call"
)

// others takes turns, so that what else happens on the machine meets all of them; the medians count.
func others(ctx context.Context, s *suite) error {
	contenders := []struct {
		name  string
		batch int
		start starter
	}{
		{bare, 1, withBare(contender.BareOptions{})}, {ours, 1, theBus(contender.BusOptions{})},
		{bare, 16, withBare(contender.BareOptions{})}, {ours, 16, theBus(contender.BusOptions{})},
		{naive, 1, contender.Naive}, {mill, 1, contender.Watermill}, {mill, 16, contender.Watermill}, {jet, 1, contender.JetStream}, {jet, 16, contender.JetStream},
	}
	results := make([][]workload.Result, len(contenders))
	for range s.rounds {
		for i, c := range contenders {
			l := s.load()
			l.Batch, l.For = c.batch, s.measure/2
			var r workload.Result
			var err error
			if c.name == jet {
				r, err = s.jetStream(ctx, l, c.start)
			} else {
				r, err = s.contend(ctx, l, groups, c.start)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			results[i] = append(results[i], r)
		}
	}
	rate := map[string]float64{}
	for i, c := range contenders {
		r := median(results[i])
		load := publishers
		if c.batch > 1 {
			load = batched
		}
		rate[c.name+load] = r.PerSecond
		s.report.add(c.name, load, r)
	}
	for _, t := range []struct {
		peer, load string
		atLeast    float64
	}{{bare, publishers, .6}, {bare, batched, .6}, {mill, publishers, 10}, {mill, batched, 10}, {jet, publishers, 3}, {jet, batched, 3}} {
		s.report.target(fmt.Sprintf("agentbus / %s, %s", t.peer, t.load), rate[ours+t.load]/rate[t.peer+t.load], "times", t.atLeast, false)
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

func (s *suite) jetStream(ctx context.Context, l workload.Load, start starter) (r workload.Result, err error) {
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

func busAlone(ctx context.Context, s *suite) error {
	for _, c := range []struct {
		rate, batch int
		load        string
	}{{0, 1, "as fast as it goes"}, {0, 16, "as fast as it goes, 16 events a call"}, {1000, 1, "1,000/s"}, {10_000, 1, "10,000/s"}, {20_000, 16, "20,000/s, 16 events a call"}} {
		l := s.load()
		l.Rate, l.Batch = c.rate, c.batch
		r, err := s.contend(ctx, l, groups, theBus(contender.BusOptions{}))
		if err != nil {
			return err
		}
		s.report.add("publish to handler", c.load, r)
		if c.rate == 10_000 {
			s.report.target("p50 at 10,000/s", r.Latency.P50, "ms", 2, true)
			s.report.target("p99 at 10,000/s", r.Latency.P99, "ms", 10, true)
		}
	}
	return nil
}

func services(ctx context.Context, s *suite) (err error) {
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
	st, err := stack.Start(ctx, dir, s.bin, server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	var sustained float64
	for _, c := range []struct {
		rate, batch int
		load        string
	}{{1000, 1, "1,000/s"}, {10_000, 16, "10,000/s, 16 events a call"}, {20_000, 16, "20,000/s, 16 events a call"}, {0, 1, "as fast as it goes"}, {0, 16, "as fast as it goes, 16 events a call"}} {
		l := s.load()
		l.Rate, l.Batch = c.rate, c.batch
		if c.rate == 0 && c.batch > 1 {
			st.Profiles = s.folder
		}
		r, err := st.Run(ctx, l)
		if err != nil {
			return err
		}
		s.report.addStack(c.load, r)
		sustained = max(sustained, r.PerSecond)
	}
	if err := st.RedisStats(ctx, s.folder); err != nil {
		return err
	}
	s.report.target("sustained, rows committed", sustained, "events/s", 20_000, false)
	s.report.note("Rows: 14 of 20 types, by PostgreSQL's times of commits. Frames: 50 clients with a workflow each. Samples: upper bounds of the collector's buckets.")
	return nil
}

func growth(ctx context.Context, s *suite) error {
	for _, n := range []int{1, 2, 4, 8} {
		l := s.load()
		l.For /= 2
		r, err := s.contend(ctx, l, n, theBus(contender.BusOptions{}))
		if err != nil {
			return err
		}
		s.report.add(fmt.Sprintf("groups: %d", n), publishers, r)
	}
	for _, n := range []int{2, 4} {
		l := s.load()
		l.For /= 2
		r, err := s.contend(ctx, l, groups, theBus(contender.BusOptions{Members: n}))
		if err != nil {
			return err
		}
		s.report.add(fmt.Sprintf("members a group: %d", n), publishers, r)
	}
	for _, n := range []int{100, 100_000} {
		l := s.load()
		l.For, l.Workflows = l.For/2, n
		r, err := s.contend(ctx, l, groups, theBus(contender.BusOptions{}))
		if err != nil {
			return err
		}
		s.report.add(fmt.Sprintf("workflows: %d", n), publishers, r)
	}
	return s.coldStart(ctx)
}

// coldStart has four groups begin with a backlog.
func (s *suite) coldStart(ctx context.Context) (err error) {
	server, stop, err := s.redis(ctx, devserver.RedisOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	r, err := contender.ColdStart(ctx, contender.Setup{URL: server.URL, Groups: groups}, s.backlog)
	if err != nil {
		return err
	}
	s.report.line(fmt.Sprintf("backlog of %d entries", s.backlog), "cold start, four groups in one process",
		fmt.Sprintf("%.0f events/s through all groups, all handled after %.1f s; peak %.0f MiB in the process, %.0f MiB in Redis",
			r.PerSecond, r.Seconds, r.PeakMiB, workload.PeakMiB(server.PID())))
	return nil
}

// errPoison is what a handler says of one event in a hundred.
var errPoison = errors.New("of one event in a hundred")

func cost(ctx context.Context, s *suite) error {
	half := s.load()
	half.For /= 2
	poison := contender.BusOptions{Handle: func(n int) error {
		if n%100 == 0 {
			return consumer.Permanent(errPoison)
		}
		return nil
	}}
	for _, c := range []struct {
		name, load string
		start      starter
	}{
		{"nothing: bare, not acknowledged", publishers, withBare(contender.BareOptions{NoAck: true})},
		{"+ acknowledgement: the bare loop", publishers, withBare(contender.BareOptions{})},
		{"+ admission: numbers, ids known again", publishers, withBare(contender.BareOptions{Admit: true})},
		{"+ all the rest: the bus", publishers, theBus(contender.BusOptions{})},
		{"+ one event in a hundred a dead letter", publishers, theBus(poison)},
		{"the bus, an entry for each event", batched, theBus(contender.BusOptions{EventsPerEntry: 1})},
		{"the bus, events share entries", batched, theBus(contender.BusOptions{})},
		{"+ one event in a hundred a dead letter", batched, theBus(poison)},
	} {
		l := half
		if c.load == batched {
			l.Batch = 16
		}
		r, err := s.contend(ctx, l, groups, c.start)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		s.report.add(c.name, c.load, r)
	}
	for _, class := range []string{"fsync", "replica"} {
		r, err := s.durable(ctx, half, class)
		if err != nil {
			return fmt.Errorf("%s: %w", class, err)
		}
		s.report.add("durability class "+class, publishers, r)
	}
	return nil
}

// durable measures a class that waits for a confirmation: it needs a newer Redis, or a replica.
func (s *suite) durable(ctx context.Context, l workload.Load, class string) (r workload.Result, err error) {
	server, stop, err := s.redis(ctx, devserver.RedisOptions{New: true})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if class == "replica" {
		_, stopReplica, err := s.redis(ctx, devserver.RedisOptions{New: true, Config: map[string]string{"replicaof": fmt.Sprintf("127.0.0.1 %d", server.Port)}})
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, stopReplica()) }()
	}
	return contend(ctx, l, groups, server.URL, server.PID(), theBus(contender.BusOptions{Durability: class}))
}
