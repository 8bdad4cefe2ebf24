package stack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/deploy/bench/workload"
	"agentbus/deploy/localstack"
	"agentbus/pkg/devserver"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// Consumers are the services that are measured.
var Consumers = []string{"db-writer", "websocket-manager", "metrics-collector", "log-aggregator"}

// Stack is everything running. Close it.
type Stack struct {
	Profiles        string // folder for CPU and allocation profiles of the services; "": none
	Redis, Postgres *devserver.Server
	services        *localstack.Stack
	bus             *bus.Bus
	db              *pgx.Conn
}

// Config says where a stack runs and how its events are written.
type Config struct {
	Dir            string // its data and logs
	Bin            string // the services' programs
	Redis          *devserver.Server
	EventsPerEntry int // BUS_EVENTS_PER_ENTRY of the publisher and of every service
}

// Start starts it.
func Start(ctx context.Context, c Config) (*Stack, error) {
	s := &Stack{Redis: c.Redis}
	err := s.start(ctx, c)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context, c Config) (err error) {
	// Times of commits are kept, so that they need not be observed.
	if s.Postgres, err = devserver.StartPostgres(ctx, devserver.PostgresOptions{Dir: filepath.Join(c.Dir, "postgres"),
		Config: map[string]string{"track_commit_timestamp": "on"}}); err != nil {
		return err
	}
	replicas := map[string]int{"": 0}
	for _, name := range Consumers {
		replicas[name] = 1
	}
	if s.services, err = localstack.Start(ctx, localstack.Options{Dir: filepath.Join(c.Dir, "stack"), Bin: c.Bin, FreePorts: true,
		Env:      map[string]map[string]string{"": {"OPS_PPROF": "true", "BUS_EVENTS_PER_ENTRY": strconv.Itoa(c.EventsPerEntry)}},
		RedisURL: s.Redis.URL, DatabaseURL: s.Postgres.URL, Replicas: replicas}); err != nil {
		return err
	}
	if s.bus, err = bus.Open(ctx, bus.Config{URL: s.Redis.URL, EventsPerEntry: c.EventsPerEntry, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()}); err != nil {
		return err
	}
	s.db, err = pgx.Connect(ctx, s.Postgres.URL)
	return err
}

// Close stops everything but Redis.
func (s *Stack) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close(ctx))
	}
	if s.bus != nil {
		errs = append(errs, s.bus.Close())
	}
	if s.services != nil {
		errs = append(errs, s.services.Stop(ctx))
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop(ctx))
	}
	return errors.Join(errs...)
}

// Where events go, as groups of the tracker.
const (
	row = iota
	frame
	line
)

// Result is how a load went, and what each process used.
type Result struct {
	workload.Result
	Metric    workload.Latency // to the sample, by the collector's own histogram
	Processes []Process
}

// CPU is microseconds per event of all processes together, this one included: it publishes.
func (r Result) CPU() float64 {
	sum := r.Usage.ClientCPU
	for _, p := range r.Processes {
		sum += p.CPU
	}
	return sum
}

// Run measures one load.
func (s *Stack) Run(ctx context.Context, l workload.Load) (Result, error) {
	recorded, err := events.Match("workflow.*", "*.completed", "*.confirmed", "*.failed")
	if err != nil {
		return Result{}, err
	}
	f := &following{stack: s, load: l}
	groups := []workload.Group{
		{Name: "row", Late: true, Wants: func(e events.Event) bool { return slices.Contains(recorded, e.Type) }},
		{Name: "frame", Wants: func(e events.Event) bool { return f.watches(e.WorkflowID) }},
		{Name: "line"},
	}
	var before []usage
	var counted histogram
	profiled := make(chan error, 1)
	r, err := workload.Run(ctx, l, groups, s.Redis.PID(), func(t *workload.Tracker) (workload.Target, error) {
		if err := f.start(ctx, t); err != nil {
			return nil, err
		}
		var err error
		if before, err = s.usage(ctx); err != nil {
			return nil, err
		}
		counted, err = s.scrape(ctx)
		go func() { profiled <- s.profile(ctx, l.For) }()
		return f, err
	})
	f.stop()
	if err != nil {
		return Result{}, err
	}
	if err := <-profiled; err != nil {
		return Result{}, err
	}
	after, err := s.usage(ctx)
	if err != nil {
		return Result{}, err
	}
	now, err := s.scrape(ctx)
	if err != nil {
		return Result{}, err
	}
	return Result{Result: r, Metric: now.since(counted).latency(), Processes: perEvent(before, after, f.published())}, nil
}

// Publish is that of the bus.
func (f *following) Publish(ctx context.Context, batch []workload.Event) error {
	list := make([]events.Event, len(batch))
	for i, e := range batch {
		list[i] = e.Event
	}
	_, err := f.stack.bus.Publish(ctx, list...)
	f.count.Add(int64(len(batch)))
	return err
}

func (f *following) published() int { return int(f.count.Load()) }

// Settle waits for the rows, and tells the tracker when each was committed.
func (f *following) Settle(ctx context.Context) error {
	end := time.Now().Add(time.Minute)
	for {
		var n int
		if err := f.stack.db.QueryRow(ctx, "SELECT count(*) FROM workflow_updates WHERE workflow_id LIKE $1", f.prefix()+"%").Scan(&n); err != nil {
			return err
		}
		if n >= f.tracker.Wanted(row) {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("db-writer: %d of %d rows after a minute", n, f.tracker.Wanted(row))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	rows, err := f.stack.db.Query(ctx, "SELECT event_id::text, pg_xact_commit_timestamp(xmin) FROM workflow_updates WHERE workflow_id LIKE $1 AND stored_at >= $2",
		f.prefix()+"%", f.settled)
	if err != nil {
		return err
	}
	var id string
	var at time.Time
	f.settled = time.Now()
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		f.tracker.HandledAt(row, workload.Number(id), at)
		return nil
	})
	return err
}
