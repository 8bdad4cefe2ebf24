package main

import (
	"context"
	"errors"
	"fmt"

	"agentbus/deploy/bench/contender"
	"agentbus/deploy/bench/workload"
	"agentbus/pkg/devserver"
	"agentbus/pkg/events/bus/consumer"
)

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
		name            string
		batch, perEntry int
		start           starter
	}{
		{"nothing: bare, not acknowledged", 1, 1, withBare(contender.BareOptions{NoAck: true})},
		{"+ acknowledgement: the bare loop", 1, 1, withBare(contender.BareOptions{})},
		{"+ admission: numbers, ids known again", 1, 1, withBare(contender.BareOptions{Admit: true})},
		{"+ all the rest: the bus", 1, 1, theBus(contender.BusOptions{})},
		{"+ one event in a hundred a dead letter", 1, 1, theBus(poison)},
		{"the bus", 16, 1, theBus(contender.BusOptions{})},
		{"+ one event in a hundred a dead letter", 16, 1, theBus(poison)},
		{"the bus, events share entries", 16, shared, theBus(contender.BusOptions{EventsPerEntry: shared})},
	} {
		l := half
		l.Batch = c.batch
		r, err := s.contend(ctx, l, groups, c.start)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		s.report.add(entry{What: c.name, Load: calls(c.batch), PerEntry: c.perEntry, Result: &r})
	}
	for _, class := range []string{"fsync", "replica"} {
		r, err := s.durable(ctx, half, class)
		if err != nil {
			return fmt.Errorf("%s: %w", class, err)
		}
		s.report.add(entry{What: "durability class " + class, Load: calls(1), PerEntry: 1, Result: &r})
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
