package chaos

import (
	"fmt"
	"testing"
	"time"

	"agentbus/pkg/devserver/servertest"
)

// TestRestartsDuringOutage replaces and kills the db-writer again and again while PostgreSQL takes no
// writes: that nobody could store an event is not the event's fault, however often it was in hand.
func TestRestartsDuringOutage(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*system){
		"SIGTERM": func(s *system) {
			if err := s.Process("db-writer-1").Stop(s.Context()); err != nil {
				s.Fatal(err)
			}
		},
		"kill -9": func(s *system) { s.Process("db-writer-1").Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, map[string]int{"db-writer": 1}, nil)
			writer := s.Process("db-writer-1")
			producers := s.startProducers(1, 10*time.Millisecond)
			s.reach(50)
			s.admin(`ALTER SYSTEM SET default_transaction_read_only = on`, `SELECT pg_reload_conf()`)
			n := rounds(8, 20)
			for range n {
				servertest.Eventually(t, 30*time.Second, func() error {
					if tried := s.failures(writer, "server"); tried < 3 {
						return fmt.Errorf("the writer has tried %v times, want the batch and two probes", tried)
					}
					return nil
				})
				end(s)
				s.start(writer)
			}
			s.admin(`ALTER SYSTEM RESET default_transaction_read_only`, `SELECT pg_reload_conf()`)
			over := time.Now()
			producers.end()
			s.settled(2 * time.Minute)
			r := s.balance("db-writer ended by "+name+" during an outage", n, time.Since(over))
			s.noLetters(r)
			s.wellMoved()
		})
	}
}
