package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"agentbus/deploy/bench/contender"
	"agentbus/deploy/bench/workload"
	"agentbus/pkg/devserver"
)

// suite is one run of the program.
type suite struct {
	out         io.Writer
	bin, folder string
	measure     time.Duration // of one load
	warmUp      time.Duration
	backlog     int // events
	rounds      int // of the others

	report  report
	longest scriptCall // of the section
}

const (
	groups = 4
	shared = 32 // BUS_EVENTS_PER_ENTRY where events share entries; by default each has one of its own
)

func (s *suite) run(ctx context.Context, only []string) error {
	for _, name := range only {
		if !slices.ContainsFunc(sections, func(sec section) bool { return sec.name == name }) {
			return fmt.Errorf("--only: there is no section %q; there are\n%s", name, list())
		}
	}
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return err
	}
	s.report.Conditions = conditions()
	fmt.Fprintln(s.out, s.report.Conditions)
	for _, sec := range sections {
		if len(only) > 0 && !slices.Contains(only, sec.name) {
			continue
		}
		s.report.begin(s.out, sec.title)
		s.longest = scriptCall{}
		if err := sec.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", sec.name, err)
		}
		s.report.note(s.longest.String())
		s.report.end(s.out)
	}
	return s.report.save(filepath.Join(s.folder, "results.json"))
}

// load is the common one.
func (s *suite) load() workload.Load {
	return workload.Load{For: s.measure, WarmUp: s.warmUp, Batch: 1, Workflows: 1000}
}

// redis starts a fresh server.
func (s *suite) redis(ctx context.Context, o devserver.RedisOptions) (*devserver.Server, func() error, error) {
	dir, err := os.MkdirTemp("", "agentbus-bench-")
	if err != nil {
		return nil, nil, err
	}
	o.Dir = dir
	if o.Config == nil {
		o.Config = map[string]string{}
	}
	maps.Copy(o.Config, slowlog)
	o.Config["save"] = "" // no snapshots beside the AOF: they would come at some of the measurements
	server, err := devserver.StartRedis(ctx, o)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return server, func() error {
		call, err := longestScript(context.WithoutCancel(ctx), server.URL)
		if call.took > s.longest.took {
			s.longest = call
		}
		return errors.Join(err, server.Stop(context.WithoutCancel(ctx)), os.RemoveAll(dir))
	}, nil
}

// starter makes a contender.
type starter func(context.Context, contender.Setup) (contender.Contender, error)

// contend measures one load over a fresh Redis.
func (s *suite) contend(ctx context.Context, l workload.Load, groups int, start starter) (r workload.Result, err error) {
	server, stop, err := s.redis(ctx, devserver.RedisOptions{})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return contend(ctx, l, groups, server.URL, server.PID(), start)
}

// contend measures one load over a server.
func contend(ctx context.Context, l workload.Load, groups int, url string, pid int, start starter) (workload.Result, error) {
	var c contender.Contender
	r, err := workload.Run(ctx, l, contender.Groups(groups), pid, func(t *workload.Tracker) (workload.Target, error) {
		var err error
		c, err = start(ctx, contender.Setup{URL: url, Groups: groups, Handled: t.Handled})
		return c, err
	})
	if c != nil {
		err = errors.Join(err, c.Close())
	}
	return r, err
}

// theBus starts the bus with these options.
func theBus(o contender.BusOptions) starter {
	return func(ctx context.Context, s contender.Setup) (contender.Contender, error) {
		return contender.Agentbus(ctx, s, o)
	}
}
