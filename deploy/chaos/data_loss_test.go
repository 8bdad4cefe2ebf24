package chaos

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// TestRedisLosesData: the data goes under load, by FLUSHALL, by DEL of a stream, by
// XGROUP DESTROY, while the members are behind. The groups are back within 5 s.
// Lost is what stood in Redis at that moment and had not been read, and nothing
// where only the group was destroyed. Members handle what they have in hand, but
// for FLUSHALL, which takes their leases too.
func TestRedisLosesData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault func(ctx context.Context, tx redis.Pipeliner, stream string)
		// what becomes of the entries at that moment
		unreadLost, inHandLost bool
	}{
		{"FLUSHALL", func(ctx context.Context, tx redis.Pipeliner, _ string) { tx.FlushAll(ctx) }, true, true},
		{"DEL of a stream", func(ctx context.Context, tx redis.Pipeliner, stream string) { tx.Del(ctx, stream) }, true, false},
		{"XGROUP DESTROY", func(ctx context.Context, tx redis.Pipeliner, stream string) {
			tx.XGroupDestroy(ctx, stream, bothGroups[0])
		}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			srv := servertest.OwnRedis(t, devserver.RedisOptions{})
			s := &quartet{srv: srv, url: srv.URL, prefetch: 200}
			s.start(t)
			ld := startLoad(t, s.l, s.producer, 400)
			admin := client(t, srv.URL)
			losses := rounds(3, 5)
			var slowest time.Duration
			gone, mayGo := map[string][]string{}, map[string][]string{} // by group, the latter with the former
			for i := range losses {
				s.held.Lock()
				servertest.Eventually(t, 30*time.Second, ld.reaches(ld.sent.Load()+700))
				before := effortOf(t, admin)
				at := s.strike(t, c.fault)
				since := time.Now()
				s.held.Unlock()
				mark := event(t, fmt.Sprint("mark-", i), i)
				if _, err := s.l.Publish(t.Context(), s.producer, mark); err != nil {
					t.Fatal(err)
				}
				servertest.Eventually(t, 5*time.Second, had(s.l, mark.ID))
				slowest = max(slowest, time.Since(since))
				noStorm(t, quartetBuses, before, effortOf(t, admin))
				for _, group := range bothGroups {
					inHand, unread := at.of(t, group)
					t.Logf("%s had %d in hand and %d unread", group, len(inHand), len(unread))
					if len(unread) < 100 || len(inHand) == 0 {
						t.Errorf("%s had %d in hand and %d unread: too little to lose", group, len(inHand), len(unread))
					}
					if c.unreadLost {
						gone[group] = append(gone[group], unread...)
						mayGo[group] = append(mayGo[group], unread...)
					}
					if c.inHandLost {
						mayGo[group] = append(mayGo[group], inHand...)
					}
				}
			}
			ld.stop()
			recovered(t, time.Now(), 30*time.Second, s.producer, bothGroups...)
			s.quiet(t, losses)
			r := s.l.Report()
			report(t, "Redis loses data: "+c.name, losses, r, slowest)
			for _, g := range r.Groups {
				if kept := without(gone[g.Group], g.Lost); len(kept) > 0 {
					t.Errorf("%s: %d of the %d events that were deleted unread had an effect: where from?", g.Group, len(kept), len(gone[g.Group]))
				}
				if more := without(g.Lost, mayGo[g.Group]); len(more) > 0 {
					t.Errorf("%s: lost %d that did not stand in Redis at the moment of the loss, such as %s", g.Group, len(more), more[0])
				}
				if len(g.Duplicated)+len(g.Unexpected) > 0 {
					t.Error(r.Err())
				}
			}
		})
	}
}

// moment is what stood in a stream when it was struck.
type moment struct {
	entries []redis.XMessage
	groups  []redis.XInfoGroup
	pending map[string][]redis.XPendingExt
}

// strike does the fault and looks at what it hits, both at once.
func (s *quartet) strike(t *testing.T, fault func(ctx context.Context, tx redis.Pipeliner, stream string)) moment {
	t.Helper()
	stream := s.producer.Names().Stream(events.WorkflowProgressed, 0)
	tx := client(t, s.srv.URL).TxPipeline()
	entries, groups := tx.XRange(t.Context(), stream, "-", "+"), tx.XInfoGroups(t.Context(), stream)
	pending := map[string]*redis.XPendingExtCmd{}
	for _, group := range bothGroups {
		pending[group] = tx.XPendingExt(t.Context(), &redis.XPendingExtArgs{Stream: stream, Group: group, Start: "-", End: "+", Count: 100_000})
	}
	fault(t.Context(), tx, stream)
	if _, err := tx.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := moment{entries.Val(), groups.Val(), map[string][]redis.XPendingExt{}}
	for group, found := range pending {
		at.pending[group] = found.Val()
	}
	return at
}

// of tells which events a group had in hand and which it had not read, by id.
func (m moment) of(t *testing.T, group string) (inHand, unread []string) {
	t.Helper()
	i := slices.IndexFunc(m.groups, func(g redis.XInfoGroup) bool { return g.Name == group })
	if i < 0 {
		t.Fatalf("group %s was not there", group)
	}
	pending := map[string]bool{}
	for _, p := range m.pending[group] {
		pending[p.ID] = true
	}
	read := true
	for _, entry := range m.entries {
		for _, e := range decoded(t, []redis.XMessage{entry}) {
			if !read {
				unread = append(unread, e.ID)
			} else if pending[entry.ID] {
				inHand = append(inHand, e.ID)
			}
		}
		read = read && entry.ID != m.groups[i].LastDeliveredID
	}
	return inHand, unread
}

// decoded are the events in entries.
func decoded(t *testing.T, entries []redis.XMessage) []events.Event {
	t.Helper()
	list := make([]events.Event, 0, len(entries))
	for _, entry := range entries {
		found, err := consumer.Messages("", entry)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range found {
			list = append(list, m.Event)
		}
	}
	return list
}

// without are those of ids that are not among others.
func without(ids, others []string) (rest []string) {
	for _, id := range ids {
		if !slices.Contains(others, id) {
			rest = append(rest, id)
		}
	}
	return rest
}
