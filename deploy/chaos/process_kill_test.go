package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/deploy/localstack"
	"agentbus/pkg/devserver/servertest"
)

// TestKill9BetweenEffectAndAcknowledgement kills one of two db-writers at random points under load, and a
// log-aggregator now and then, whose lines may come twice but must come.
// Redis is made to hold back writes for a moment first, acknowledgements with them, while PostgreSQL
// goes on: so that what dies has stored rows that it could not acknowledge any more.
func TestKill9BetweenEffectAndAcknowledgement(t *testing.T) {
	s := newSystem(t, map[string]int{"db-writer": 2, "log-aggregator": 2}, nil)
	producers := s.startProducers(4, 5*time.Millisecond)
	kills, caught := rounds(10, 50), 0
	for i := range kills {
		if i%4 == 3 {
			other := s.Process(fmt.Sprintf("log-aggregator-%d", 1+rand.IntN(2)))
			other.Kill()
			s.start(other)
		}
		victim := s.Process(fmt.Sprintf("db-writer-%d", 1+rand.IntN(2)))
		s.reach(1 + rand.IntN(1000))
		caught += s.killUnacknowledged(victim)
		s.start(victim)
	}
	producers.end()
	recovery := s.settled(2 * time.Minute)
	t.Logf("%d kills; %d entries had their row and not their acknowledgement", kills, caught)
	if caught == 0 {
		t.Error("no kill came between effect and acknowledgement: the test proved nothing")
	}
	r := s.balance("kill -9 between effect and acknowledgement", kills, recovery)
	s.noLetters(r)
	s.wellMoved()
}

// reach waits until so many more rows are there.
func (s *system) reach(more int) {
	s.Helper()
	from, err := s.stored(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	servertest.Eventually(s.T, time.Minute, func() error {
		n, err := s.stored(s.Context())
		if err == nil && n < from+more {
			err = fmt.Errorf("%d rows, want %d", n, from+more)
		}
		return err
	})
}

// killUnacknowledged kills p after a moment in which Redis took no acknowledgement, and returns how many
// entries it leaves behind that have their row.
func (s *system) killUnacknowledged(p *localstack.Process) int {
	s.Helper()
	before, err := s.stored(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	admin := client(s.T, s.redis.URL)
	if err := admin.Do(s.Context(), "CLIENT", "PAUSE", 2000, "WRITE").Err(); err != nil {
		s.Fatal(err)
	}
	// Rows grow while something is in hand; at the latest a tenth of a second on, all of it is stored.
	ctx, cancel := context.WithTimeout(s.Context(), time.Duration(20+rand.IntN(80))*time.Millisecond)
	defer cancel()
	for ctx.Err() == nil {
		if n, err := s.stored(ctx); err == nil && n > before {
			break
		}
	}
	p.Kill()
	if err := admin.Do(s.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
		s.Fatal(err)
	}
	return s.storedUnacknowledged(p.Name)
}

// storedUnacknowledged counts a member's pending entries that have a row.
func (s *system) storedUnacknowledged(member string) int {
	s.Helper()
	return len(s.rows(storedOf, s.events(s.pending(dbWriters, member))))
}

// storedOf asks which of the event ids have a row.
const storedOf = "SELECT event_id::text FROM workflow_updates WHERE event_id = ANY($1::text[]::uuid[])"

// events are the event ids of entries.
func (s *system) events(entries []redis.XPendingExt, streams []string) []string {
	s.Helper()
	pipe := s.bus.Client().Pipeline()
	found := make([]*redis.XMessageSliceCmd, len(entries))
	for i, p := range entries {
		found[i] = pipe.XRangeN(s.Context(), streams[i], p.ID, p.ID, 1)
	}
	if len(entries) > 0 {
		if _, err := pipe.Exec(s.Context()); err != nil {
			s.Fatal(err)
		}
	}
	ids := make([]string, 0, len(entries))
	for _, f := range found {
		for _, e := range decoded(s.T, f.Val()) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}
