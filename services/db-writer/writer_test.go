package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// record is all that the writer keeps, to be compared.
func record(t testing.TB, w *writer) [][]string {
	return [][]string{
		table(t, w, "workflows", "id"),
		table(t, w, "workflow_updates", "event_id"),
		table(t, w, "stage_results", "workflow_id, stage, attempt"),
	}
}

func TestWorkflowIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWriter(t, servertest.Postgres(t))
	wellStored(t, w.handle(t.Context(), course(t, "wf-1")))

	var got struct {
		name, state, stage, code, reason string
		percent, attempt, lastSeq        int64
		seconds                          float64
	}
	err := w.pool.QueryRow(t.Context(), `SELECT name, state, stage, code, reason, percent, attempt, last_seq,
		extract(epoch FROM finished_at - created_at) FROM workflows WHERE id = 'wf-1'`).
		Scan(&got.name, &got.state, &got.stage, &got.code, &got.reason, &got.percent, &got.attempt, &got.lastSeq, &got.seconds)
	if err != nil {
		t.Fatal(err)
	}
	want := got
	want.name, want.state, want.stage, want.code, want.reason = "greeter", "failed", "testing", "tests_failed", "1 of 14 tests failed"
	want.percent, want.attempt, want.lastSeq, want.seconds = 55, 2, 17, 16
	if got != want {
		t.Errorf("workflow is %+v, want %+v", got, want)
	}
	stages := table(t, w, "(SELECT stage, attempt, outcome, code, summary FROM stage_results)", "stage, attempt")
	if diff := cmp.Diff([]string{
		`{"code": null, "stage": "generation", "attempt": 1, "outcome": "completed", "summary": {"files": 9}}`,
		`{"code": "timeout", "stage": "testing", "attempt": 1, "outcome": "failed", "summary": null}`,
		`{"code": "tests_failed", "stage": "testing", "attempt": 2, "outcome": "failed", "summary": null}`,
	}, stages); diff != "" {
		t.Error(diff)
	}
}

// TestAnyOrderAnyNumber stores the same events shuffled, cut into batches and repeated, by two writers
// at once: the record must be that of one writer that got them in order, once.
func TestAnyOrderAnyNumber(t *testing.T) {
	t.Parallel()
	all := append(course(t, "wf-1"), course(t, "wf-2")...)
	all = append(all, message(t, "wf-3", 4, events.WorkflowCompleted, &events.WorkflowCompletedData{DurationMS: 1}))
	all = append(all, message(t, "wf-3", 3, events.WorkflowProgressed, &events.WorkflowProgressedData{Percent: 80, Stage: events.Deployment}))

	inOrder := newWriter(t, servertest.Postgres(t))
	wellStored(t, inOrder.handle(t.Context(), all))
	want := record(t, inOrder)

	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			url := servertest.Postgres(t)
			one, two := newWriter(t, url), newWriter(t, url)
			var wg sync.WaitGroup
			for i, w := range []*writer{one, two} {
				random := rand.New(rand.NewPCG(seed, uint64(i)))
				mine := append(append([]consumer.Message{}, all...), all[:5]...)
				random.Shuffle(len(mine), func(a, b int) { mine[a], mine[b] = mine[b], mine[a] })
				wg.Go(func() {
					for len(mine) > 0 {
						n := min(1+random.IntN(6), len(mine))
						for _, err := range w.handle(t.Context(), mine[:n]) {
							if err != nil {
								t.Error(err)
							}
						}
						mine = mine[n:]
					}
				})
			}
			wg.Wait()
			if diff := cmp.Diff(want, record(t, one)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPoisonIsIsolated(t *testing.T) {
	t.Parallel()
	w := newWriter(t, servertest.Postgres(t))
	batch := make([]consumer.Message, 1000)
	for i := range batch {
		batch[i] = message(t, fmt.Sprintf("wf-%d", i%7), int64(i+1), events.WorkflowProgressed,
			&events.WorkflowProgressedData{Percent: i % 101, Stage: events.Audit})
	}
	wrong := map[int]string{ // index -> what its dead letter must say
		137: "numeric",
		500: "data.percent",
	}
	batch[137] = poison(t, "wf-4", 138)
	batch[500].Event.Data = []byte(`{"percent":101,"stage":"audit"}`)

	for i, err := range w.handle(t.Context(), batch) {
		says, poisoned := wrong[i]
		switch {
		case !poisoned && err != nil:
			t.Fatalf("neighbour %d: %v", i, err)
		case poisoned && (err == nil || !strings.Contains(err.Error(), says) || !isPermanent(err)):
			t.Errorf("poison %d: %v, want a permanent error with %q", i, err, says)
		}
	}
	if n := count(t, w, "workflow_updates"); n != 998 {
		t.Errorf("%d events stored, want 998", n)
	}
	if n := count(t, w, "workflows WHERE id = 'wf-4' AND last_seq = 999"); n != 1 {
		t.Error("the poisoned workflow did not move on")
	}
}

// isPermanent compares with what the bus makes of Permanent: the package does not export the type.
func isPermanent(err error) bool {
	return fmt.Sprintf("%T", err) == fmt.Sprintf("%T", consumer.Permanent(errors.New("")))
}

func isUnavailable(err error) bool {
	return fmt.Sprintf("%T", err) == fmt.Sprintf("%T", consumer.Unavailable(errors.New("")))
}

func TestMissingTableBlamesNoEvent(t *testing.T) {
	t.Parallel()
	w := newWriter(t, servertest.Postgres(t))
	if _, err := w.pool.Exec(t.Context(), "ALTER TABLE stage_results RENAME TO gone"); err != nil {
		t.Fatal(err)
	}
	for i, err := range w.handle(t.Context(), course(t, "wf-1")) {
		if !isUnavailable(err) {
			t.Errorf("message %d: %v, want unavailable", i, err)
		}
	}
	if _, err := w.pool.Exec(t.Context(), "ALTER TABLE gone RENAME TO stage_results"); err != nil {
		t.Fatal(err)
	}
	wellStored(t, w.handle(t.Context(), course(t, "wf-1")))
}

// TestIdleTransactionIsEnded: a writer that stands still in mid-transaction lets go of its rows, and what
// it says afterwards is told to be nobody's fault.
func TestIdleTransactionIsEnded(t *testing.T) {
	t.Parallel()
	w := newWriter(t, servertest.Postgres(t))
	late := pgx.BeginTxFunc(t.Context(), w.pool, transaction, func(still pgx.Tx) error {
		rows := make([]row, 1)
		var err error
		if rows[0], err = newRow(0, course(t, "wf-1")[0]); err != nil {
			return err
		}
		if _, err := insertNew(t.Context(), still, rows); err != nil {
			return err
		}
		// The same event, taken over by another: it waits for the first transaction, then goes on.
		if n, err := store(t.Context(), w.pool, rows); err != nil || n != 1 {
			return fmt.Errorf("the other stored %d: %w", n, err)
		}
		return nil
	})
	if late == nil || classify(late) != failServer || strings.Contains(late.Error(), "the other stored") {
		t.Errorf("the late commit: %v, want a failure of the server", late)
	}
	if n := count(t, w, "workflow_updates"); n != 1 {
		t.Errorf("%d rows, want the other's", n)
	}
}

func TestReadOnlyServerIsUnavailable(t *testing.T) {
	t.Parallel()
	url := servertest.Postgres(t)
	newWriter(t, url)
	w := newWriter(t, url+"&default_transaction_read_only=on")
	for i, err := range w.handle(t.Context(), course(t, "wf-1")) {
		if !isUnavailable(err) {
			t.Errorf("message %d: %v, want unavailable", i, err)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]failure{
		"22003": failData, "22P02": failData, "22021": failData, "23514": failData, "54000": failData,
		"42P01": failSchema, "42703": failSchema, "42501": failSchema,
		"40001": failConflict, "40P01": failConflict,
		"53300": failServer, "53100": failServer, "57P01": failServer, "57P03": failServer, "08006": failServer,
		"25006": failServer, "28P01": failServer, "3D000": failServer, "XX000": failServer, "": failServer,
	} {
		if got := classify(fmt.Errorf("store: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("%s is %s, want %s", code, got, want)
		}
	}
	if got := classify(context.DeadlineExceeded); got != failServer {
		t.Errorf("a deadline is %s, want %s", got, failServer)
	}
}

func BenchmarkHandle(b *testing.B) {
	w := newWriter(b, servertest.Postgres(b))
	const size = 1000
	for b.Loop() {
		b.StopTimer()
		batch := make([]consumer.Message, size)
		for i := range batch {
			batch[i] = message(b, fmt.Sprintf("wf-%d", rand.IntN(50)), int64(i+1), events.WorkflowProgressed,
				&events.WorkflowProgressedData{Percent: 7, Stage: events.Audit, Message: "scanning"})
		}
		b.StartTimer()
		wellStored(b, w.handle(b.Context(), batch))
	}
	b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
