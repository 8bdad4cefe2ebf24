package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/inspect"
)

// outage is a way for a database not to take writes.
type outage struct {
	name       string
	begin, end func(*system)
	lasts      func() time.Duration
	long       bool // belongs to the long half
	// shows is the kind of failure that agentbus_db_failures_total must count.
	shows string
}

func briefly() time.Duration { return time.Duration(rounds(3, 10)) * time.Second }

var outages = []outage{
	{"PostgreSQL stopped", func(s *system) { s.postgres.Kill() }, func(s *system) {
		if err := s.postgres.Restart(s.Context()); err != nil {
			s.Fatal(err)
		}
	}, func() time.Duration { return time.Duration(rounds(10, 60)) * time.Second }, false, "server"},
	{"PostgreSQL refuses connections", func(s *system) {
		s.admin(`ALTER DATABASE agentbus ALLOW_CONNECTIONS false`,
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'agentbus'`)
	}, func(s *system) { s.admin(`ALTER DATABASE agentbus ALLOW_CONNECTIONS true`) }, briefly, true, "server"},
	{"PostgreSQL read-only", func(s *system) {
		s.admin(`ALTER SYSTEM SET default_transaction_read_only = on`, `SELECT pg_reload_conf()`)
	}, func(s *system) {
		s.admin(`ALTER SYSTEM RESET default_transaction_read_only`, `SELECT pg_reload_conf()`)
	}, briefly, false, "server"},
	{"column renamed", func(s *system) { s.exec(`ALTER TABLE workflow_updates RENAME COLUMN source_agent TO gone`) },
		func(s *system) { s.exec(`ALTER TABLE workflow_updates RENAME COLUMN gone TO source_agent`) }, briefly, false, "schema"},
	{"column dropped", func(s *system) { s.exec(`ALTER TABLE workflow_updates DROP COLUMN extra`) },
		func(s *system) { s.exec(`ALTER TABLE workflow_updates ADD COLUMN extra jsonb`) }, briefly, true, "schema"},
}

// TestDatabaseOutages takes PostgreSQL away under load in every way there is: nothing becomes a dead
// letter, memory stays bounded, an alert's metric shows it, the other groups do not notice, and
// everything is stored afterwards.
func TestDatabaseOutages(t *testing.T) {
	t.Parallel()
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) { o.test(t) })
	}
}

func (o outage) test(t *testing.T) {
	if o.long {
		long(t)
	}
	t.Parallel() // most of it is waiting
	s := newSystem(t, map[string]int{"db-writer": 1, "log-aggregator": 1, "metrics-collector": 1, "websocket-manager": 1}, nil)
	writer := s.Process("db-writer-1")
	producers := s.startProducers(2, 10*time.Millisecond)
	s.reach(100)
	calm := s.others(2 * time.Second)
	o.begin(s)
	during := s.others(o.lasts())
	servertest.Eventually(t, 20*time.Second, func() error {
		if s.failures(writer, o.shows) == 0 {
			return fmt.Errorf("no failure of the kind %q is counted", o.shows)
		}
		if s.sample(writer, "agentbus_db_available", "") != 0 {
			return errors.New("agentbus_db_available is not 0")
		}
		return nil
	})
	o.end(s)
	over := time.Now()
	s.db.Reset() // its connections are as broken as the writer's
	s.reach(100) // still under load
	producers.end()
	s.settled(2 * time.Minute)
	recovery := time.Since(over)

	if !writer.Running() {
		t.Fatal(writer.Ended())
	}
	t.Logf("for %s: db-writer had at most %d MiB; the other groups were at most %s behind, %s before",
		o.lasts(), peak(t, writer.PID())>>20, during.Round(time.Millisecond), calm.Round(time.Millisecond))
	if got := peak(t, writer.PID()); got > 128<<20 {
		t.Errorf("db-writer grew to %d MiB", got>>20)
	}
	if during > calm+2*time.Second {
		t.Errorf("another group was %s behind, %s before the outage", during, calm)
	}
	r := s.balance(o.name, 1, recovery)
	s.noLetters(r)
	s.wellMoved()
}

// admin runs statements from another database of the server.
func (s *system) admin(statements ...string) {
	s.Helper()
	conn, err := pgx.Connect(s.Context(), strings.Replace(s.postgres.URL, "/agentbus?", "/postgres?default_transaction_read_only=off&", 1))
	if err != nil {
		s.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(s.Context(), sql); err != nil {
			s.Fatalf("%s: %v", sql, err)
		}
	}
}

// TestSerializationStorm lets every transaction be serializable while others write the same rows: the
// writer's fail again and again, and none of its events is given up for it.
func TestSerializationStorm(t *testing.T) {
	s := newSystem(t, map[string]int{"db-writer": 2}, nil)
	s.admin(`ALTER SYSTEM SET default_transaction_isolation = 'serializable'`, `SELECT pg_reload_conf()`)
	storm, calm := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(func() { calm(); wg.Wait() })
	for range 2 {
		wg.Go(func() { s.blow(storm) })
	}
	producers := s.startProducers(4, 10*time.Millisecond)
	conflicts := func() (n float64) {
		for _, name := range []string{"db-writer-1", "db-writer-2"} {
			n += s.failures(s.Process(name), "conflict")
		}
		return n
	}
	servertest.Eventually(t, time.Minute, func() error {
		if n := conflicts(); n < float64(rounds(20, 200)) {
			return fmt.Errorf("%v conflicts", n)
		}
		return nil
	})
	calm()
	wg.Wait()
	producers.end()
	recovery := s.settled(time.Minute)
	t.Logf("%v transactions of the writers failed to serialize", conflicts())
	r := s.balance("serialization storm", 1, recovery)
	s.noLetters(r)
	s.wellMoved()
}

// blow reads all the workflows and touches one, in serializable transactions that the writers' cannot be
// ordered with.
func (s *system) blow(ctx context.Context) {
	for ctx.Err() == nil {
		// It fails as often as they do: that is the storm.
		_ = pgx.BeginTxFunc(ctx, s.db, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
			var n int
			err := tx.QueryRow(ctx, `SELECT count(*) FROM workflow_updates`).Scan(&n)
			_, moved := tx.Exec(ctx, `UPDATE workflows SET updated_at = now() WHERE id IN
				(SELECT id FROM workflows ORDER BY updated_at DESC LIMIT 5 OFFSET $1)`, rand.IntN(3))
			return errors.Join(err, moved)
		})
	}
}

// TestPoisonRowAmong999 gives the writer one event that PostgreSQL refuses in a batch of good ones.
func TestPoisonRowAmong999(t *testing.T) {
	s := newSystem(t, map[string]int{"db-writer": 1}, nil)
	writer := s.Process("db-writer-1")
	if err := writer.Stop(t.Context()); err != nil { // so that they come in one batch
		t.Fatal(err)
	}
	var batch []events.Event
	for i := range 1000 {
		batch = append(batch, event(t, fmt.Sprintf("poison-%d", i%50), i))
	}
	poison := &batch[417]
	poison.Data = json.RawMessage(`{"percent":1,"stage":"audit","stage_percent":0,"size":1e200000}`) // valid JSON, too large for jsonb
	if _, err := s.books.Publish(t.Context(), s.bus, batch...); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	s.start(writer)
	s.settled(time.Minute)
	r := s.balance("one poison row among 999", 1, time.Since(begun))
	if n, err := s.stored(t.Context()); err != nil || n != 999 {
		t.Errorf("%d rows, %v; want 999", n, err)
	}
	letters := s.letters(dbWriters)
	if len(letters) != 1 || len(r.Groups[0].DeadLettered) != 1 {
		t.Fatalf("%d dead letters, want the poison alone", len(letters))
	}
	want, err := json.Marshal(poison)
	if err != nil {
		t.Fatal(err)
	}
	l := letters[0]
	if l.EventID != poison.ID || l.Class != "permanent" || string(l.Data) != string(want) || !strings.Contains(l.Error, "22003") {
		t.Errorf("the dead letter is %s (%s) of %s: %s", l.Class, l.Error, l.EventID, l.Data)
	}
}

// others looks at the groups beside db_writers for so long, and returns the greatest age of an event that
// one of them had not acknowledged.
func (s *system) others(lasts time.Duration) (oldest time.Duration) {
	s.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(lasts); time.Now().Before(end); <-tick.C {
		groups, err := inspect.New(s.bus).Groups(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		for _, g := range groups {
			if g.Group != dbWriters {
				oldest = max(oldest, g.OldestAge)
			}
		}
	}
	return oldest
}
