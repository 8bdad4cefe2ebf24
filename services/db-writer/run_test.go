package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
	"agentbus/pkg/service"
)

// system is a prefix of the shared Redis with a Bus to publish on, and a database to look into.
type system struct {
	bus *bus.Bus
	cfg Config
	db  *writer // for looking; not the one under test
}

func newSystem(t *testing.T, database string) *system {
	t.Helper()
	cfg := Config{Config: bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t)}, DatabaseURL: database, Batch: 1000, WriteTimeout: 5 * time.Second}
	b, err := bus.Open(t.Context(), cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return &system{bus: b, cfg: cfg, db: newWriter(t, database)}
}

// replica runs the service until the returned function is called, which waits for its end.
func (s *system) replica(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, s.cfg, service.NewRuntime(zerolog.Nop(), prometheus.NewRegistry()))
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the replica did not stop")
		}
	}
	t.Cleanup(stop)
	return stop
}

func (s *system) publish(t *testing.T, batch []consumer.Message) {
	t.Helper()
	for _, m := range batch {
		if _, err := s.bus.Publish(t.Context(), m.Event); err != nil {
			t.Fatal(err)
		}
	}
}

// stored waits until n events are in the database.
func (s *system) stored(t *testing.T, n int) {
	t.Helper()
	servertest.Eventually(t, 30*time.Second, func() error {
		if got := count(t, s.db, "workflow_updates"); got != n {
			return fmt.Errorf("%d events stored, want %d", got, n)
		}
		return nil
	})
}

// settled waits until the group owes nothing, and returns its dead letters.
func (s *system) settled(t *testing.T) (deadLetters int64) {
	t.Helper()
	servertest.Eventually(t, 30*time.Second, func() error {
		groups, err := inspect.New(s.bus).Groups(t.Context())
		if err != nil {
			return err
		}
		for _, g := range groups {
			if g.Group == group {
				if g.Lag != 0 || g.Pending != 0 {
					return fmt.Errorf("lag %d, pending %d", g.Lag, g.Pending)
				}
				deadLetters = g.DeadLetters
				return nil
			}
		}
		return fmt.Errorf("group %s is not there", group)
	})
	return deadLetters
}

func TestTwoReplicasStoreEachEventOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t, servertest.Postgres(t))
	s.replica(t)
	s.replica(t)
	const workflows = 20
	for i := range workflows {
		s.publish(t, course(t, fmt.Sprintf("wf-%d", i)))
	}
	s.stored(t, workflows*9)
	servertest.Eventually(t, 10*time.Second, func() error {
		if n := count(t, s.db, "workflows WHERE state = 'failed' AND percent = 55 AND stage = 'testing'"); n != workflows {
			return fmt.Errorf("%d workflows are where they should be, want %d", n, workflows)
		}
		return nil
	})
	if n := s.settled(t); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	if n := count(t, s.db, "stage_results"); n != workflows*3 {
		t.Errorf("%d stage results, want %d", n, workflows*3)
	}
}

func TestForeignEntryIsStored(t *testing.T) {
	t.Parallel()
	s := newSystem(t, servertest.Postgres(t))
	s.replica(t)
	id := uuid.NewString()
	add := func(data string) {
		t.Helper()
		err := s.bus.Client().XAdd(t.Context(), &redis.XAddArgs{
			Stream: s.bus.Names().Stream(events.WorkflowProgressed, 0), Values: []string{"data", data},
		}).Err()
		if err != nil {
			t.Fatal(err)
		}
	}
	event := fmt.Sprintf(`{"id":%q,"type":"WORKFLOW_PROGRESSED","workflow_id":"by-hand","timestamp":"2026-01-02T03:04:05Z",
		"data":{"percent":40,"stage":"audit","stage_percent":1},"source_agent":"python","team":"blue"}`, id)
	add(event)
	add(event)
	add(`{"id":"no uuid"}`)
	add(fmt.Sprintf(`{"id":%q,"type":"workflow.progressed","workflow_id":"by-hand","timestamp":"2026-01-02T03:04:05Z",
		"data":{"percent":"forty","stage":"audit"},"source_agent":"python"}`, uuid.NewString()))

	s.stored(t, 1)
	servertest.Eventually(t, 30*time.Second, func() error {
		if n := s.settled(t); n != 2 {
			return fmt.Errorf("%d dead letters, want the malformed and the wrongly typed", n)
		}
		return nil
	})
	if n := count(t, s.db, "workflow_updates WHERE seq = 1 AND type = 'workflow.progressed' AND extra = '{\"team\": \"blue\"}'"); n != 1 {
		t.Error("the foreign event is not stored as it came")
	}
	if n := count(t, s.db, "workflows WHERE id = 'by-hand' AND state = 'running' AND percent = 40 AND name IS NULL"); n != 1 {
		t.Error("the workflow did not move")
	}
}

// TestDatabaseOutage stops PostgreSQL under the writer: nothing is given up, and all is stored when it
// is back.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	server := servertest.OwnPostgres(t)
	s := newSystem(t, server.URL)
	s.replica(t)
	s.publish(t, course(t, "before"))
	s.stored(t, 9)

	server.Kill()
	s.publish(t, course(t, "during"))
	servertest.Eventually(t, 30*time.Second, func() error {
		groups, err := inspect.New(s.bus).Groups(t.Context())
		if err != nil {
			return err
		}
		for _, g := range groups {
			if g.Group == group && g.Pending > 0 {
				return nil
			}
		}
		return fmt.Errorf("the writer holds nothing: %+v", groups)
	})
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.db.pool.Reset()
	s.publish(t, course(t, "after"))
	s.stored(t, 27)
	if n := s.settled(t); n != 0 {
		t.Errorf("%d dead letters for an outage", n)
	}
}

// TestStartsBeforeItsDatabase starts the service while the server is down.
func TestStartsBeforeItsDatabase(t *testing.T) {
	t.Parallel()
	server := servertest.OwnPostgres(t)
	s := newSystem(t, server.URL)
	server.Kill()
	s.replica(t)
	s.publish(t, course(t, "wf"))
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.db.pool.Reset()
	s.stored(t, 9)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	well := Config{DatabaseURL: "postgres://u@h/db", Batch: 1, WriteTimeout: time.Second}
	for name, change := range map[string]func(*Config){
		"":                 func(*Config) {},
		"DB_BATCH":         func(c *Config) { c.Batch = 0 },
		"DB_WRITE_TIMEOUT": func(c *Config) { c.WriteTimeout = time.Millisecond },
		"DATABASE_URL":     func(c *Config) { c.DatabaseURL = "postgres://u:secret@h:port/db" },
	} {
		c := well
		change(&c)
		err := c.Validate()
		switch {
		case name == "" && err != nil:
			t.Error(err)
		case name != "" && (err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v", name, err)
		}
	}
}
