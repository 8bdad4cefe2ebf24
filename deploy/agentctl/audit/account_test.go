package audit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// system is a bus of its own and a database with the one table that is asked.
type system struct {
	*testing.T
	bus      *bus.Bus
	database string
	conn     *pgx.Conn
}

func newSystem(t *testing.T) system {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t)})
	if err != nil {
		t.Fatal(err)
	}
	s := system{T: t, bus: b, database: servertest.Postgres(t)}
	t.Cleanup(func() { _ = b.Close() })
	if s.conn, err = pgx.Connect(t.Context(), s.database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close(context.Background()) })
	s.exec(`CREATE TABLE workflow_updates (event_id uuid PRIMARY KEY)`)
	return s
}

func (s system) exec(sql string, args ...any) {
	s.Helper()
	if _, err := s.conn.Exec(s.Context(), sql, args...); err != nil {
		s.Fatal(err)
	}
}

func (s system) publish(workflow string) events.Event {
	s.Helper()
	e, err := events.New(events.WorkflowStarted, workflow, "tester", &events.WorkflowStartedData{Stage: events.Generation})
	if err == nil {
		_, err = s.bus.Publish(s.Context(), e)
	}
	if err != nil {
		s.Fatal(err)
	}
	return e
}

// member consumes for a group until the returned function is called.
func (s system) member(group string, handle func(context.Context, consumer.Message) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- consumer.Run(ctx, s.bus, consumer.Subscription{Group: group, Types: []events.Type{events.WorkflowStarted}, Handle: handle})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.Error(err)
		}
	})
	s.Cleanup(stop)
	return stop
}

func (s system) settled(groups ...string) {
	s.Helper()
	servertest.Eventually(s.T, 20*time.Second, func() error {
		known, err := inspect.New(s.bus).Groups(s.Context())
		if err != nil || len(known) < len(groups) {
			return errors.Join(err, errors.New("not every group is there yet"))
		}
		for _, g := range known {
			if g.Lag+g.Pending > 0 {
				return errors.New(g.Group + " is not done")
			}
		}
		return nil
	})
}

func (s system) take(scope Scope) map[string]Account {
	s.Helper()
	list, err := Take(s.Context(), s.bus, s.database, scope)
	if err != nil {
		s.Fatal(err)
	}
	byGroup := map[string]Account{}
	for _, a := range list {
		byGroup[a.Group] = a
	}
	return byGroup
}

// TestAccounts: one event of each fate, told apart, in both kinds of groups.
func TestAccounts(t *testing.T) {
	s := newSystem(t)
	stored, lost, refused := s.publish("wf-1"), s.publish("wf-1"), s.publish("wf-2")
	stream := s.bus.Names().Stream(events.WorkflowStarted, 0)
	if err := s.bus.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: []string{"data", "no event"}}).Err(); err != nil {
		t.Fatal(err)
	}
	s.exec(`INSERT INTO workflow_updates VALUES ($1)`, stored.ID)
	handle := func(_ context.Context, m consumer.Message) error {
		if m.Event.ID == refused.ID {
			return consumer.Permanent(errors.New("it never works"))
		}
		return nil
	}
	stopWriter := s.member(storing, handle)
	s.member("others", handle)
	s.settled(storing, "others")
	stopWriter()
	waits := s.publish("wf-2")
	s.settledOne("others")

	got := s.take(Scope{})
	want := map[string]Account{
		storing:  {Group: storing, By: ByRow, Published: 5, Handled: 1, DeadLettered: 2, Waiting: 1, Missing: 1, MissingOnes: got[storing].MissingOnes},
		"others": {Group: "others", By: ByAck, Published: 5, Handled: 3, DeadLettered: 2, MissingOnes: []Event{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if m := got[storing].MissingOnes; len(m) != 1 || m[0].ID != lost.ID || m[0].WorkflowID != "wf-1" {
		t.Errorf("missing are %+v, want %s", m, lost.ID)
	}
	if a := s.take(Scope{Workflow: "wf-2"})[storing]; a.Published != 2 || a.DeadLettered != 1 || a.Waiting != 1 || a.Missing != 0 {
		t.Errorf("wf-2 alone: %+v, want one dead letter and one (%s) that waits", a, waits.ID)
	}
	if a := s.take(Scope{Since: time.Now().Add(time.Hour)})[storing]; a.Published != 0 {
		t.Errorf("from the future: %+v", a)
	}
	if a := s.take(Scope{Until: time.Now().Add(time.Hour)})[storing]; a.Published != 5 {
		t.Errorf("until the future: %+v", a)
	}
}

func (s system) settledOne(group string) {
	s.Helper()
	servertest.Eventually(s.T, 20*time.Second, func() error {
		if a := s.take(Scope{})[group]; a.Waiting > 0 {
			return errors.New(group + " is not done")
		}
		return nil
	})
}

// TestReplayIsWaiting: a dead letter that was given back is neither missing nor dead.
func TestReplayIsWaiting(t *testing.T) {
	s := newSystem(t)
	s.publish("wf-1")
	stop := s.member(storing, func(context.Context, consumer.Message) error { return consumer.Permanent(errors.New("no")) })
	s.settled(storing)
	stop()
	letters, err := inspect.New(s.bus).DeadLetters(t.Context(), storing, inspect.DeadLetterFilter{})
	if err != nil || len(letters) != 1 {
		t.Fatalf("%d dead letters, %v", len(letters), err)
	}
	if err := inspect.New(s.bus).Replay(t.Context(), storing, letters[0].ID, "tester"); err != nil {
		t.Fatal(err)
	}
	if a := s.take(Scope{})[storing]; a.Waiting != 1 || a.Missing != 0 || a.DeadLettered != 0 {
		t.Errorf("%+v, want one that waits", a)
	}
}

// TestTrimmedInHandIsMissing: an entry that was deleted while somebody had it is named by its place.
func TestTrimmedInHandIsMissing(t *testing.T) {
	s := newSystem(t)
	begun, release := make(chan consumer.Message, 1), make(chan struct{})
	s.member("others", func(ctx context.Context, m consumer.Message) error {
		begun <- m
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	})
	defer close(release)
	s.publish("wf-" + uuid.NewString())
	m := <-begun
	if err := s.bus.Client().XDel(t.Context(), m.Stream, m.EntryID).Err(); err != nil {
		t.Fatal(err)
	}
	a := s.take(Scope{})["others"]
	if a.Missing != 1 || len(a.MissingOnes) != 1 || a.MissingOnes[0].EntryID != m.EntryID {
		t.Errorf("%+v, want entry %s missing", a, m.EntryID)
	}
}
