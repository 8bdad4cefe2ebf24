package localstack

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/inspect"
)

// catchUp is how long the consumers may take to read what the producers left.
const catchUp = 5 * time.Second

// Stop drains and stops everything in order. When ctx ends, what still runs is killed. The error lists
// what had to be killed; nothing is left running in any case.
func (s *Stack) Stop(ctx context.Context) error { return s.shut(ctx) }

func (s *Stack) shut(ctx context.Context) error {
	err := s.each(producer, func(p *Process) error { return p.Stop(ctx) })
	s.sweep()
	s.awaitConsumers(ctx)
	err = errors.Join(err, s.each(func(p *Process) bool { return !producer(p) }, func(p *Process) error { return p.Stop(ctx) }))
	err = errors.Join(err, s.stopServers(ctx), os.RemoveAll(connectionFile(s.opts.Dir)), os.RemoveAll(targetsFile(s.opts.Dir)))
	_ = s.lock.Close() // lets go of the folder
	return err
}

func producer(p *Process) bool { return strings.HasSuffix(p.Service, "-agent") }

// awaitConsumers waits until every group that still has members has acknowledged all there is.
func (s *Stack) awaitConsumers(ctx context.Context) {
	running := false
	for _, p := range s.processes {
		running = running || p.Running()
	}
	if !running {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	b, err := bus.Open(ctx, s.BusConfig())
	if err != nil {
		return // Redis is gone: there is nothing to read
	}
	defer func() { _ = b.Close() }()
	operator := inspect.New(b)
	for {
		groups, err := operator.Groups(ctx)
		behind := err != nil
		for _, g := range groups {
			behind = behind || g.Members > 0 && g.Lag+g.Pending > 0
		}
		if !behind {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
