package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"agentbus/deploy/localstack"
)

// stackFlags are those of up and demo.
type stackFlags struct {
	bin      string
	replicas map[string]int
}

func (f *stackFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.bin, "bin", envOr("AGENTBUS_BIN", filepath.Join(checkout(), "bin")), "folder with the services' programs, as make build makes it")
	c.Flags().StringToIntVar(&f.replicas, "replicas", nil, "processes of a service, such as db-writer=2; 1 by default")
}

func (a *app) options(f stackFlags) localstack.Options {
	redis := a.redisURL
	if redis == "" {
		redis = os.Getenv("REDIS_URL")
	}
	return localstack.Options{Dir: a.dir, Bin: f.bin, RedisURL: redis, DatabaseURL: os.Getenv("DATABASE_URL"), Replicas: f.replicas}
}

func (a *app) upCommand() *cobra.Command {
	var f stackFlags
	c := &cobra.Command{
		Use: "up", Short: "Start Redis, PostgreSQL and all services, and stay until Ctrl-C", Args: usage(cobra.NoArgs),
		Long: `Start Redis, PostgreSQL and all services as processes, print where they are, and
stay. Ctrl-C drains and stops everything; a second one does not wait.

With REDIS_URL or DATABASE_URL set those servers are used instead of private
ones. A variable of one service is set with the service's name in front:
DB_WRITER_OPS_ADDR=127.0.0.1:19082, TESTING_AGENT_TOOL_TIMEOUT=1m.`,
		Example: "  agentctl up\n  agentctl up --replicas db-writer=2,testing-agent=2",
		RunE: func(cmd *cobra.Command, _ []string) error {
			signals := make(chan os.Signal, 2)
			signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
			defer signal.Stop(signals)
			s, err := a.start(cmd.Context(), a.options(f), signals)
			if err != nil || s == nil {
				return err
			}
			if a.json() {
				err = a.print(s.Connection())
			} else {
				err = a.introduce(s)
			}
			if err == nil {
				select {
				case <-signals:
				case p := <-s.Died():
					err = fmt.Errorf("%w\neverything else is stopped", p.Ended())
				}
			}
			return errors.Join(err, a.stop(s, signals))
		},
	}
	f.add(c)
	return c
}

// start starts the stack; a signal meanwhile ends the start, and no stack is returned.
func (a *app) start(ctx context.Context, o localstack.Options, signals <-chan os.Signal) (*localstack.Stack, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	interrupted, done := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-signals:
			close(interrupted)
			cancel()
		case <-done:
		}
	}()
	a.note("starting Redis, PostgreSQL and the services")
	s, err := localstack.Start(ctx, o)
	close(done)
	select {
	case <-interrupted:
		if s != nil {
			return nil, a.stop(s, signals)
		}
		a.note("interrupted; everything is stopped")
		return nil, nil
	default:
	}
	return s, err
}

// note tells what is going on where a person reads; JSON output stays alone.
func (a *app) note(format string, args ...any) {
	if a.json() {
		fmt.Fprintf(a.err, format+"\n", args...)
		return
	}
	fmt.Fprintf(a.out, format+"\n", args...)
}

func (a *app) introduce(s *localstack.Stack) error {
	memory, err := s.Memory()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "ready in %s; %s hold %d MiB\n\n", took(s.Startup), count(len(s.Processes()), "process", "processes"), memory>>20)
	coordinator, live := s.URL("coordinator-agent", "HTTP_ADDR"), s.URL("websocket-manager", "HTTP_ADDR")
	if err := table(a.out,
		[]string{"  workflows, live", live + "/"},
		[]string{"  API", coordinator + "/v1/workflows"},
		[]string{"  API, described", coordinator + "/docs/"},
		[]string{"  Redis", withoutPassword(s.RedisURL)},
		[]string{"  PostgreSQL", withoutPassword(s.DatabaseURL)},
		[]string{"  state and logs", a.dir},
	); err != nil {
		return err
	}
	rows := [][]string{{"  PROCESS", "PID", "HEALTH AND METRICS"}}
	for _, p := range s.Processes() {
		rows = append(rows, []string{"  " + p.Name, fmt.Sprint(p.PID()), p.URL("OPS_ADDR") + "/metrics"})
	}
	fmt.Fprintln(a.out)
	if err := table(a.out, rows...); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\nIn another terminal: bin/agentctl run deploy/demo/workflow.json --watch\nCtrl-C drains and stops everything.\n")
	return nil
}

// stopPatience is above what any service takes to drain.
const stopPatience = time.Minute

// stop drains the stack; a signal meanwhile ends the patience.
func (a *app) stop(s *localstack.Stack, signals <-chan os.Signal) error {
	a.note("\nstopping: work in hand is finished first; Ctrl-C again does not wait")
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-done:
		}
	}()
	begun := time.Now()
	if err := s.Stop(ctx); err != nil {
		return err
	}
	a.note("everything is stopped, after %s", took(time.Since(begun)))
	return nil
}
