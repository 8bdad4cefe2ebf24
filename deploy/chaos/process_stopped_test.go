package chaos

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"agentbus/pkg/devserver/servertest"
)

// TestStoppedMemberContinues stops a db-writer in mid-transaction, its rows locked, until the others have
// taken over what it held, and lets it go on. Its late commit and late acknowledgements must do no harm,
// and the others must not wait for it longer than PostgreSQL's patience with an idle transaction.
func TestStoppedMemberContinues(t *testing.T) {
	t.Parallel()
	s := newSystem(t, map[string]int{"db-writer": 3}, map[string]map[string]string{"db-writer": {"DB_WRITE_TIMEOUT": "10s"}})
	producers := s.startProducers(2, 10*time.Millisecond)
	s.reach(100)
	victim := s.Process("db-writer-1")

	// The lock holds every writer inside its transaction, after the insert.
	release := s.lockWorkflows()
	servertest.Eventually(t, 20*time.Second, func() error {
		if n := len(s.rows(`SELECT pid::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'agentbus-db-writer'`)); n < 3 {
			return fmt.Errorf("%d writers wait in mid-transaction, want 3", n)
		}
		return nil
	})
	if err := syscall.Kill(victim.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(victim.PID(), syscall.SIGCONT) }) // it may be gone
	release()
	held := s.events(s.pending(dbWriters, victim.Name))
	if len(held) == 0 {
		t.Fatal("the stopped member holds nothing: nothing can be late")
	}
	begun := time.Now()
	servertest.Eventually(t, time.Minute, func() error {
		if held, _ := s.pending(dbWriters, victim.Name); len(held) > 0 {
			return fmt.Errorf("%d entries are still the stopped member's", len(held))
		}
		return nil
	})
	t.Logf("%d entries were taken over after %s", len(held), time.Since(begun).Round(time.Millisecond))
	servertest.Eventually(t, time.Minute, func() error {
		if n := len(s.rows(storedOf, held)); n < len(held) {
			return fmt.Errorf("%d of the %d are stored: the others wait for the stopped member's transaction", n, len(held))
		}
		return nil
	})
	t.Logf("and stored after %s", time.Since(begun).Round(time.Millisecond))
	s.reach(100)

	if err := syscall.Kill(victim.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	woken := time.Now()
	servertest.Eventually(t, 30*time.Second, func() error {
		g, err := s.group(dbWriters)
		if err == nil && g.Members != 3 {
			err = fmt.Errorf("%d members, want the woken one back", g.Members)
		}
		return err
	})
	s.reach(500)
	producers.end()
	s.settled(time.Minute)
	recovery := time.Since(woken)
	if !victim.Running() {
		t.Error("the woken member ended: ", victim.Ended())
	}
	r := s.balance("member stopped longer than its lease, then continued", 1, recovery)
	s.noLetters(r)
	s.wellMoved()
}

// lockWorkflows keeps everybody else from writing workflows until the returned function is called.
func (s *system) lockWorkflows() (release func()) {
	s.Helper()
	conn, err := pgx.Connect(s.Context(), s.postgres.URL)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(s.Context(), "BEGIN")
	_, locked := conn.Exec(s.Context(), "LOCK TABLE workflows IN EXCLUSIVE MODE")
	if err := errors.Join(err, locked); err != nil {
		s.Fatal(err)
	}
	return func() {
		if _, err := conn.Exec(s.Context(), "COMMIT"); err != nil {
			s.Error(err)
		}
	}
}
