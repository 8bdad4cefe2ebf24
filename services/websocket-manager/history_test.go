package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
)

// record makes a database as the db-writer's migration does and stores events of a workflow in it.
func record(t *testing.T, workflow, tenant string, seqs ...int64) (url string) {
	t.Helper()
	url = servertest.Postgres(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	migration, err := os.ReadFile("../db-writer/migrations/00001_record.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), string(migration)); err != nil {
		t.Fatal(err)
	}
	for _, seq := range seqs {
		if _, err := conn.Exec(t.Context(), `
			INSERT INTO workflow_updates (event_id, workflow_id, seq, type, source_agent, occurred_at, data, metadata, extra)
			VALUES (gen_random_uuid(), $1, $2, 'workflow.progressed', 'tester', now(), '{"percent":7,"stage":"audit"}', $3, '{"later":[1]}')`,
			workflow, seq, map[string]string{events.MetadataTenant: tenant}); err != nil {
			t.Fatal(err)
		}
	}
	return url
}

type historyPage struct {
	Events []struct {
		Seq   int64
		Event events.Event
	}
	Gaps      []struct{ From, To int64 }
	To, Last  int64
	NextAfter int64 `json:"next_after"`
}

// told writes a page as "1 2 3-4!": a gap has an exclamation mark.
func (p *historyPage) told() string {
	var words []string
	gaps := p.Gaps
	for _, e := range p.Events {
		for len(gaps) > 0 && gaps[0].From < e.Seq {
			words, gaps = append(words, fmt.Sprintf("%d-%d!", gaps[0].From, gaps[0].To)), gaps[1:]
		}
		words = append(words, fmt.Sprint(e.Seq))
	}
	for _, g := range gaps {
		words = append(words, fmt.Sprintf("%d-%d!", g.From, g.To))
	}
	return strings.Join(words, " ")
}

func (r *replica) history(t *testing.T, workflow, query, who string) *historyPage {
	t.Helper()
	status, body := r.get(t, "GET", "/v1/workflows/"+workflow+"/history"+query, who)
	p := new(historyPage)
	if err := json.Unmarshal([]byte(body), p); status != 200 || err != nil {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	return p
}

// TestHistoryFallsBackToTheRecord: Redis keeps the latest events only, PostgreSQL some types of all, and
// what neither has is told as a gap.
func TestHistoryFallsBackToTheRecord(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.restrict(t)
	s.cfg.DatabaseURL = record(t, "wf", "blue", 1, 2, 5, 9)
	r := s.replica(t)
	s.add(t, "wf", 8, 9, 10, 12)
	for query, want := range map[string]string{
		"":                  "1 2 3-4! 5 6-7! 8 9 10 11-11! 12",
		"?after=5":          "6-7! 8 9 10 11-11! 12",
		"?after=2&limit=2":  "3-4!",
		"?after=0&limit=1":  "1",
		"?after=12":         "",
		"?after=11&limit=9": "12",
	} {
		p := r.history(t, "wf", query, "ann")
		if diff := cmp.Diff(want, p.told()); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
		if wantNext := p.To < 12; (p.NextAfter > 0) != wantNext || p.Last != 12 {
			t.Errorf("%s: up to %d of %d, next after %d", query, p.To, p.Last, p.NextAfter)
		}
	}
	p := r.history(t, "wf", "?limit=1", "ann")
	if e := p.Events[0].Event; e.Type != events.WorkflowProgressed || e.WorkflowID != "wf" || e.Metadata[events.MetadataTenant] != "blue" || string(e.Extra["later"]) != "[1]" || time.Since(e.Timestamp) > time.Hour {
		t.Errorf("from the record came %+v", e)
	}
	// Redis has forgotten the workflow: the record knows it, and whose it is.
	if err := s.bus.Client().Del(t.Context(), s.bus.Names().LiveLog("wf")).Err(); err != nil {
		t.Fatal(err)
	}
	if got := r.history(t, "wf", "", "ann").told(); got != "1 2 3-4! 5 6-8! 9" {
		t.Errorf("from the record alone: %s", got)
	}
	if status, body := r.get(t, "GET", "/v1/workflows/wf/history", "rob"); status != 404 {
		t.Errorf("another tenant: %d %s", status, body)
	}
	for query, field := range map[string]string{"?after=-1": "query.after", "?limit=0": "query.limit", "?limit=5000": "query.limit", "?x=1": "query.x"} {
		if status, body := r.get(t, "GET", "/v1/workflows/wf/history"+query, "ann"); status != 422 || !strings.Contains(body, field) {
			t.Errorf("%s: %d %s; want 422 naming %s", query, status, body, field)
		}
	}
}
