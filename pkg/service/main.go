package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// Exit codes, see the package comment.
const (
	exitDrained = 0
	exitFailed  = 1
	exitUsage   = 2
)

// sameRequest is how long after the first signal further ones mean the same: a supervisor and a terminal
// both send one, and the kernel's death signal comes once for each dying thread of the parent.
const sameRequest = 300 * time.Millisecond

// opsPatience is how long a probe or scrape in hand may take when all else has ended.
const opsPatience = time.Second

// Spec is what a process says about itself.
type Spec struct {
	Name  string // the one identifier: directory, binary, image, chart key
	About string // one line for --help, without a full stop
	Ops   string // default of OPS_ADDR, host:port
}

// Main runs a service and exits the process. C is the service's configuration, read from the
// environment. run gets a context that ends with the first SIGTERM or SIGINT and must return when its
// work is drained; nil, or the context's own error after a signal, is a clean end.
func Main[C any](spec Spec, run func(context.Context, C, *Runtime) error) {
	var config C
	os.Exit(shell(spec, os.Args[1:], os.Stdout, os.Stderr, &config,
		func(ctx context.Context, rt *Runtime) error { return run(ctx, config, rt) }))
}

// shell is Main without its type parameter and without os.Exit.
func shell(spec Spec, args []string, stdout, stderr io.Writer, config any, run func(context.Context, *Runtime) error) int {
	common := settings{OpsAddr: spec.Ops}
	if len(args) > 0 {
		return command(spec, args, stdout, stderr, &common, config)
	}
	if err := load(&common, config); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n%s --help lists all settings\n", spec.Name, err, spec.Name)
		return exitUsage
	}

	log := newLogger(stderr, zerolog.Level(common.LogLevel), spec.Name)
	// Room for two: the one that starts the drain and the one that ends the patience.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)

	rt := NewRuntime(log, nil)
	rt.grace = common.ShutdownGrace
	registerBuild(rt.Metrics, spec.Name)
	if err := supervise(rt, common, signals, run); err != nil {
		log.Error().Err(err).Msg("failed")
		return exitFailed
	}
	log.Info().Msg("stopped")
	return exitDrained
}

// supervise runs the ops server around run, turns signals into the drain and waits for its end.
func supervise(rt *Runtime, own settings, signals <-chan os.Signal, run func(context.Context, *Runtime) error) error {
	// The ops server outlives run: probes and scrapes go on during the drain.
	opsCtx, stopOps := context.WithCancel(context.Background())
	opsFailed, opsEnded := make(chan error, 1), make(chan struct{})
	ops, err := listen(opsCtx, "OPS_ADDR", own.OpsAddr)
	if err != nil {
		stopOps()
		return err
	}
	go func() {
		defer close(opsEnded)
		if err := rt.serve(opsCtx, "OPS_ADDR", ops, rt.opsHandler(own.OpsPprof)); opsCtx.Err() == nil {
			opsFailed <- err
		}
	}()
	defer func() {
		stopOps()
		select {
		case <-opsEnded:
		case <-time.After(opsPatience): // a scrape that hangs does not hold the exit
		}
	}()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, rt) }()

	var (
		opsFailure error
		graceOver  <-chan time.Time
		first      time.Time // when the first signal came
	)
	drain := func() {
		rt.draining.Store(true)
		cancel()
		if graceOver == nil {
			graceOver = time.After(rt.grace)
		}
	}
	for {
		select {
		case sig := <-signals:
			if !first.IsZero() && time.Since(first) < sameRequest {
				continue
			}
			if rt.draining.Load() {
				return fmt.Errorf("second signal (%s) during the drain: stopped at once, unfinished work is left behind", sig)
			}
			rt.Log.Info().Str("signal", sig.String()).Dur("grace_ms", rt.grace).Msg("draining")
			first = time.Now()
			drain()
		case err := <-opsFailed:
			opsFailure = fmt.Errorf("the ops server stopped: %w", err)
			drain()
		case <-graceOver:
			return fmt.Errorf("the drain took longer than SHUTDOWN_GRACE=%s: stopped with work unfinished", rt.grace)
		case err := <-ended:
			if rt.draining.Load() && errors.Is(err, context.Canceled) {
				err = nil
			}
			return errors.Join(opsFailure, err)
		}
	}
}

// command answers arguments; a service takes none besides these.
func command(spec Spec, args []string, stdout, stderr io.Writer, common, config any) int {
	if len(args) == 1 {
		switch args[0] {
		case "-h", "--help", "-help", "help":
			if err := help(stdout, spec, common, config); err != nil {
				fmt.Fprintf(stderr, "%s: %v\n", spec.Name, err)
				return exitFailed
			}
			return exitDrained
		case "--version", "-version", "version":
			fmt.Fprintln(stdout, spec.Name, buildVersion())
			return exitDrained
		}
	}
	fmt.Fprintf(stderr, "%s: unknown argument %q: it takes --help or --version and is configured by environment variables\n", spec.Name, args)
	return exitUsage
}
