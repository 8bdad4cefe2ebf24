package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/deploy/localstack"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/inspect"
)

// Groups of consumers whose effects can be read, as the services name them.
const (
	dbWriters   = "db_writers"
	aggregators = "log_aggregators"
)

// storedTypes are what db_writers read: the design's table.
func storedTypes(t *testing.T) []events.Type {
	t.Helper()
	types, err := events.Match("workflow.*", "*.completed", "*.confirmed", "*.failed")
	if err != nil {
		t.Fatal(err)
	}
	return types
}

// system is a Redis, a PostgreSQL and processes of a test's own, and its books.
type system struct {
	*testing.T
	*localstack.Stack
	redis, postgres *devserver.Server
	bus             *bus.Bus
	db              *pgxpool.Pool
	books           *ledger.Ledger
}

// newSystem starts so many processes of each service, with variables by service as localstack takes
// them.
func newSystem(t *testing.T, replicas map[string]int, env map[string]map[string]string) *system {
	t.Helper()
	s := &system{T: t, redis: servertest.OwnRedis(t, devserver.RedisOptions{}), postgres: servertest.OwnPostgres(t), books: ledger.New()}
	s.Stack = startStack(t, localstack.Options{RedisURL: s.redis.URL, DatabaseURL: s.postgres.URL, Replicas: replicas, Env: env})
	var err error
	if s.bus, err = bus.Open(t.Context(), bus.Config{URL: s.redis.URL, Log: zerolog.Nop()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.bus.Close() })
	if s.db, err = pgxpool.New(t.Context(), s.postgres.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.db.Close)
	for group, service := range map[string]string{dbWriters: "db-writer", aggregators: "log-aggregator"} {
		if replicas[service] > 0 {
			s.books.Restrict(group)
		}
	}
	s.books.Restrict(dbWriters, storedTypes(t)...)
	return s
}

// startStack starts the services that have replicas in the options; a folder, programs and ports are
// chosen here. A test that failed shows the processes' logs.
func startStack(t *testing.T, o localstack.Options) *localstack.Stack {
	t.Helper()
	o.Bin, o.Except = programs(t, slices.Sorted(maps.Keys(o.Replicas)))
	o.Dir, o.FreePorts = filepath.Join(t.TempDir(), "stack"), true
	stack, err := localstack.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := stack.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, p := range stack.Processes() {
				if text := ownLog(p.Log); text != "" {
					t.Logf("%s:\n%s", p.Name, text)
				}
			}
		}
		if err := localstack.Remove(o.Dir); err != nil {
			t.Error(err)
		}
	})
	return stack
}

// ownLog is the end of what a process logged about itself; the lines of events are left out.
func ownLog(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	var own []string
	for line := range strings.Lines(string(data)) {
		if !strings.Contains(line, `"event_id"`) {
			own = append(own, line)
		}
	}
	return strings.Join(own[max(0, len(own)-40):], "")
}

// start starts a process again.
func (s *system) start(p *localstack.Process) {
	s.Helper()
	if err := p.Start(s.Context()); err != nil {
		s.Fatal(err)
	}
}

// stored is how many events have a row.
func (s *system) stored(ctx context.Context) (n int, err error) {
	err = s.db.QueryRow(ctx, "SELECT count(*) FROM workflow_updates").Scan(&n)
	return n, err
}

// group is how far a group is.
func (s *system) group(name string) (inspect.GroupStatus, error) {
	all, err := inspect.New(s.bus).Groups(s.Context())
	for _, g := range all {
		if g.Group == name {
			return g, err
		}
	}
	return inspect.GroupStatus{}, errors.Join(err, fmt.Errorf("group %s is not there", name))
}

// settled waits until every registered group owes nothing, and returns how long that took.
func (s *system) settled(timeout time.Duration) time.Duration {
	s.Helper()
	begun := time.Now()
	servertest.Eventually(s.T, timeout, func() error {
		all, err := inspect.New(s.bus).Groups(s.Context())
		for _, g := range all {
			if g.Lag+g.Pending > 0 {
				err = errors.Join(err, fmt.Errorf("%s: lag %d, pending %d", g.Group, g.Lag, g.Pending))
			}
		}
		return err
	})
	return time.Since(begun)
}

// balance reads every effect and dead letter into the books and fails the test where they do not
// balance. log_aggregators may write a line twice: nothing tells a line that was written before a kill.
func (s *system) balance(fault string, runs int, recovery time.Duration) ledger.Report {
	s.Helper()
	for _, id := range s.rows("SELECT event_id::text FROM workflow_updates") {
		s.books.Effect(dbWriters, id)
	}
	for _, file := range s.Logs("log-aggregator") {
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			continue // not part of this system
		}
		for _, id := range logged(s.T, file) {
			s.books.Effect(aggregators, id)
		}
	}
	groups, err := inspect.New(s.bus).Groups(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	for _, g := range groups {
		for _, l := range s.letters(g.Group) {
			s.books.DeadLetter(g.Group, l.EventID)
		}
	}
	r := s.books.Report()
	report(s.T, fault, runs, r, recovery)
	judged := r
	judged.Groups = slices.Clone(r.Groups)
	for i, g := range judged.Groups {
		if g.Group != dbWriters {
			judged.Groups[i].Duplicated = nil
		}
	}
	if err := judged.Err(); err != nil {
		s.Error(err)
	}
	s.verify()
	return r
}

// verify asks the operator's tool, which must come to the same end.
func (s *system) verify() {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), agentctl(s.T), "verify", "--all", "--redis", s.RedisURL, "--database", s.DatabaseURL)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Errorf("agentctl verify: %v\n%s", err, out)
	}
}

func (s *system) letters(group string) []inspect.DeadLetter {
	s.Helper()
	letters, err := inspect.New(s.bus).DeadLetters(s.Context(), group, inspect.DeadLetterFilter{Limit: 1 << 30})
	if err != nil {
		s.Fatal(err)
	}
	return letters
}

// noLetters fails the test for dead letters of any group.
func (s *system) noLetters(r ledger.Report) {
	s.Helper()
	for _, g := range r.Groups {
		if n := len(g.DeadLettered); n > 0 {
			s.Errorf("%s has %d dead letters, such as %+v", g.Group, n, s.letters(g.Group)[0])
		}
	}
}

// rows is a query's one column of text.
func (s *system) rows(sql string, args ...any) []string {
	s.Helper()
	found, err := s.db.Query(s.Context(), sql, args...)
	if err != nil {
		s.Fatal(err)
	}
	list, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		s.Fatal(err)
	}
	return list
}

// exec runs SQL as the operator would, on a connection of its own.
func (s *system) exec(statements ...string) {
	s.Helper()
	conn, err := pgx.Connect(s.Context(), s.postgres.URL+"&default_transaction_read_only=off")
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

// logged are the event ids in the log-aggregator's output.
func logged(t *testing.T, file string) (ids []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 2*events.MaxEventBytes)
	for in.Scan() {
		var line struct {
			EventID string `json:"event_id"`
			Seq     int64  `json:"seq"` // its own log has none
		}
		if json.Unmarshal(in.Bytes(), &line) == nil && line.EventID != "" && line.Seq > 0 {
			ids = append(ids, line.EventID)
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// pending are the entries that a group's member holds, all where member is "".
func (s *system) pending(group, member string) (held []redis.XPendingExt, streams []string) {
	s.Helper()
	for _, spec := range events.Catalogue() {
		key := s.bus.Names().Stream(spec.Type, 0)
		found, err := s.bus.Client().XPendingExt(s.Context(), &redis.XPendingExtArgs{Stream: key, Group: group, Start: "-", End: "+", Count: 10_000, Consumer: member}).Result()
		if err != nil && !strings.HasPrefix(err.Error(), "NOGROUP") {
			s.Fatal(err)
		}
		for _, p := range found {
			held, streams = append(held, p), append(streams, key)
		}
	}
	return held, streams
}

// consumers are the names that a group has in Redis over all streams.
func (s *system) consumers(group string) []string {
	s.Helper()
	var names []string
	for _, spec := range events.Catalogue() {
		found, err := s.bus.Client().XInfoConsumers(s.Context(), s.bus.Names().Stream(spec.Type, 0), group).Result()
		if err != nil && !strings.HasPrefix(err.Error(), "NOGROUP") && !strings.HasPrefix(err.Error(), "ERR no such key") {
			s.Fatal(err)
		}
		for _, c := range found {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
