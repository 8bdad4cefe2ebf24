package main

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// newWriter is a writer on a migrated database at url.
func newWriter(t testing.TB, url string) *writer {
	t.Helper()
	w := newWriterUnprepared(t, Config{DatabaseURL: url})
	if err := w.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func newWriterUnprepared(t testing.TB, cfg Config) *writer {
	t.Helper()
	p, err := cfg.pool()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &writer{pool: pool, timeout: 10 * time.Second, log: zerolog.Nop(), metrics: newMetrics(prometheus.NewRegistry())}
}

// start is the time of seq 0 in the tests' workflows; each event comes a second after the one before.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// message is a delivery of an event with this payload.
func message(t testing.TB, workflow string, seq int64, typ events.Type, p events.Payload) consumer.Message {
	t.Helper()
	e, err := events.New(typ, workflow, "tester", p)
	if err != nil {
		t.Fatal(err)
	}
	e.Timestamp = start.Add(time.Duration(seq) * time.Second)
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return consumer.Message{Event: e, Seq: seq, Raw: raw}
}

// course is all that the writer reads of a workflow whose testing stage fails at the second try.
func course(t testing.TB, workflow string) []consumer.Message {
	const id = "7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10"
	return []consumer.Message{
		message(t, workflow, 1, events.WorkflowCreated, &events.WorkflowCreatedData{Name: "greeter", Stages: events.Stages()}),
		message(t, workflow, 2, events.WorkflowStarted, &events.WorkflowStartedData{Stage: events.Generation}),
		message(t, workflow, 6, events.WorkflowProgressed, &events.WorkflowProgressedData{Percent: 10, Stage: events.Generation, StagePercent: 40, Attempt: 1}),
		message(t, workflow, 7, events.GenerationCompleted, &events.StageDoneData{CorrelationID: id, Attempt: 1, DurationMS: 1500, Summary: json.RawMessage(`{"files":9}`)}),
		message(t, workflow, 10, events.WorkflowProgressed, &events.WorkflowProgressedData{Percent: 50, Stage: events.Testing, Attempt: 1, Message: "running the tests"}),
		message(t, workflow, 12, events.TestingFailed, &events.StageFailedData{CorrelationID: id, Attempt: 1, DurationMS: 90, Code: "timeout", Reason: "ran longer than 2m0s", Retryable: true}),
		message(t, workflow, 13, events.WorkflowProgressed, &events.WorkflowProgressedData{Percent: 55, Stage: events.Testing, Attempt: 2}),
		message(t, workflow, 16, events.TestingFailed, &events.StageFailedData{CorrelationID: id, Attempt: 2, DurationMS: 800, Code: "tests_failed", Reason: "1 of 14 tests failed"}),
		message(t, workflow, 17, events.WorkflowFailed, &events.WorkflowFailedData{Stage: events.Testing, Code: "tests_failed", Reason: "1 of 14 tests failed", DurationMS: 16_000}),
	}
}

// table is the rows of a query, each as JSON with the columns that differ from run to run left out.
func table(t testing.TB, w *writer, name, order string) []string {
	t.Helper()
	rows, err := w.pool.Query(t.Context(), "SELECT (to_jsonb(r) - 'updated_at' - 'stored_at')::text FROM "+name+" r ORDER BY "+order)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func count(t testing.TB, w *writer, from string) int {
	t.Helper()
	var n int
	if err := w.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// wellStored fails the test for the first message that was not stored.
func wellStored(t testing.TB, outcome []error) {
	t.Helper()
	for i, err := range outcome {
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}

// poison is a message that is a valid event and that PostgreSQL's jsonb refuses: the number is too large.
func poison(t testing.TB, workflow string, seq int64) consumer.Message {
	m := message(t, workflow, seq, events.WorkflowProgressed, &events.WorkflowProgressedData{Percent: 1, Stage: events.Audit})
	m.Event.ID = uuid.NewString()
	m.Event.Data = json.RawMessage(`{"percent":1,"stage":"audit","stage_percent":0,"size":1e200000}`)
	return m
}
