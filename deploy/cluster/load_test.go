//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/deploy/agentctl/live"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

const (
	rate      = 200 // events/s
	workflows = 25
	watchers  = 50 // live WebSocket clients, two for each workflow
)

// load publishes to workflows of its own and follows them, with books over both.
type load struct {
	release *release
	bus     *bus.Bus
	books   *ledger.Ledger
	ids     []string

	stop    context.CancelFunc
	stopped chan error

	mu   sync.Mutex
	last map[string]int64 // the highest number acknowledged, by workflow

	watching sync.WaitGroup
	seen     [watchers]seen
}

// seen is what a client was shown.
type seen struct {
	mu            sync.Mutex
	last          int64
	holes, double int
	err           error
}

func (r *release) load(t *testing.T) *load {
	t.Helper()
	l := &load{release: r, bus: r.openBus(t), books: ledger.New("db_writers"), last: map[string]int64{}, stopped: make(chan error, 1)}
	run := uuid.NewString()[:8]
	for i := range workflows {
		l.ids = append(l.ids, fmt.Sprintf("load-%s-%d", run, i))
	}
	watch, away := context.WithCancel(t.Context())
	for i := range watchers {
		l.watching.Go(func() { l.watch(watch, i) })
	}
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	go func() { l.stopped <- l.publish(ctx) }()
	t.Cleanup(func() {
		stop()
		away()
		l.watching.Wait()
	})
	return l
}

func (l *load) publish(ctx context.Context) error {
	const beats = 20 // a second
	tick := time.NewTicker(time.Second / beats)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for range rate / beats {
			id := l.ids[n%len(l.ids)]
			n++
			e, err := events.New(events.WorkflowProgressed, id, "load", &events.WorkflowProgressedData{Percent: n % 101, Stage: events.Audit, StagePercent: n % 101})
			if err != nil {
				return err
			}
			receipts, err := l.books.Publish(context.WithoutCancel(ctx), l.bus, e)
			if err != nil {
				return err
			}
			l.mu.Lock()
			l.last[id] = max(l.last[id], receipts[0].Seq)
			l.mu.Unlock()
		}
	}
}

func (l *load) watch(ctx context.Context, i int) {
	s := &l.seen[i]
	err := live.Follow(ctx, func() string { return l.release.websocket }, l.release.token, l.ids[i%len(l.ids)], func(f live.Frame) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case f.Type == "gap":
			s.holes++
			s.last = f.To
		case f.Type == "event" && f.Seq <= s.last:
			s.double++
		case f.Type == "event":
			if f.Seq != s.last+1 {
				s.holes++
			}
			s.last = f.Seq
		}
		return true
	})
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
}

// settle ends the load and checks the books: nothing lost, and every client was shown every event once.
func (l *load) settle(t *testing.T) {
	t.Helper()
	l.stop()
	if err := <-l.stopped; err != nil {
		t.Fatalf("publishing: %v", err)
	}
	db := l.release.openDatabase(t)
	total := 0
	for _, n := range l.last {
		total += int(n)
	}
	eventually(t, time.Minute, "every event is a row", func() bool {
		var rows int
		if err := db.QueryRow(t.Context(), `select count(*) from workflow_updates where workflow_id = any($1)`, l.ids).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows >= total
	})
	rows, err := db.Query(t.Context(), `select event_id::text from workflow_updates where workflow_id = any($1)`, l.ids)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		l.books.Effect("db_writers", id)
	}
	report := l.books.Report().Groups[0]
	if len(report.Lost)+len(report.Duplicated)+len(report.Unexpected) > 0 {
		t.Errorf("lost %v, duplicated %v, unexpected %v", report.Lost, report.Duplicated, report.Unexpected)
	}
	for i := range l.seen {
		s, want := &l.seen[i], l.last[l.ids[i%len(l.ids)]]
		eventually(t, time.Minute, fmt.Sprintf("client %d was shown number %d", i, want), func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.last >= want || s.err != nil
		})
		if s.err != nil || s.holes > 0 || s.double > 0 || s.last != want {
			t.Errorf("client %d: %d holes, %d shown twice, last %d of %d, %v", i, s.holes, s.double, s.last, want, s.err)
		}
	}
	t.Logf("%d events attempted, %d acknowledged, %d rows, 0 lost; %d clients were shown each of theirs once", report.Attempted, report.Acked, total, watchers)
}
