package main

import (
	"cmp"
	"context"
	_ "embed" // the statements
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	//go:embed sql/insert_updates.sql
	insertUpdates string
	//go:embed sql/move_workflows.sql
	moveWorkflows string
	//go:embed sql/move_stages.sql
	moveStages string
)

// transaction begins one that PostgreSQL ends by itself when its client says nothing for 5 s. A member
// that stands still in mid-transaction (SIGSTOP, a paused machine) would keep its rows locked, and
// whoever took its events over would wait for it without end. A statement takes milliseconds to follow
// the one before, so 5 s never meets a member that works. Set here and not when connecting: a pooler
// between would refuse the parameter.
var transaction = pgx.TxOptions{BeginQuery: "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '5s'"}

// store writes rows in one transaction and returns how many were new. An error leaves nothing behind.
// An event comes twice only where somebody died. So all are copied, which costs PostgreSQL two thirds of
// inserting them, and inserted only where the copy meets one that is there already: then both together
// cost it 8.5 µs per event, inserting alone would 5.
func store(ctx context.Context, pool *pgxpool.Pool, rows []row) (int, error) {
	n, err := storeBy(ctx, pool, rows, copyAll)
	if isDuplicate(err) {
		n, err = storeBy(ctx, pool, rows, insertNew)
	}
	if err != nil {
		return 0, fmt.Errorf("store %d events: %w", len(rows), err)
	}
	return n, nil
}

// storeBy runs the transaction. way is one of the two to store events; it returns those that were not
// there before.
func storeBy(ctx context.Context, pool *pgxpool.Pool, rows []row, way func(context.Context, pgx.Tx, []row) ([]row, error)) (n int, err error) {
	err = pgx.BeginTxFunc(ctx, pool, transaction, func(tx pgx.Tx) error {
		fresh, err := way(ctx, tx, rows)
		if err != nil || len(fresh) == 0 {
			return err
		}
		n = len(fresh)
		batch := &pgx.Batch{}
		batch.Queue(moveWorkflows, workflowColumns(fresh)...)
		if columns := stageColumns(fresh); columns != nil {
			batch.Queue(moveStages, columns...)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	return n, err
}

// insertNew stores the events and returns the rows that were not there before.
func insertNew(ctx context.Context, tx pgx.Tx, rows []row) ([]row, error) {
	answer, err := tx.Query(ctx, insertUpdates,
		column(rows, func(r row) pgtype.UUID { return pgtype.UUID{Bytes: r.id, Valid: true} }),
		column(rows, func(r row) string { return r.event.WorkflowID }),
		column(rows, func(r row) int64 { return r.seq }),
		column(rows, func(r row) string { return string(r.event.Type) }),
		column(rows, func(r row) string { return r.event.SourceAgent }),
		column(rows, func(r row) time.Time { return r.event.Timestamp }),
		column(rows, func(r row) string { return string(r.event.Data) }),
		column(rows, func(r row) *string { return text(string(r.metadata)) }),
		column(rows, func(r row) *string { return text(string(r.extra)) }))
	if err != nil {
		return nil, fmt.Errorf("insert events: %w", err)
	}
	isNew := make(map[uuid.UUID]bool, len(rows))
	var id pgtype.UUID
	if _, err := pgx.ForEachRow(answer, []any{&id}, func() error { isNew[id.Bytes] = true; return nil }); err != nil {
		return nil, fmt.Errorf("insert events: %w", err)
	}
	fresh := rows[:0:0]
	for _, r := range rows {
		if isNew[r.id] {
			fresh = append(fresh, r)
			delete(isNew, r.id) // the same id twice in one batch: the first was stored
		}
	}
	return fresh, nil
}

// workflowRow is how far the events of a batch move one workflow.
type workflowRow struct {
	id      string
	lastSeq int64
	workflowChange
}

// workflowColumns folds the rows to one change per workflow, as arguments of [moveWorkflows].
func workflowColumns(rows []row) []any {
	byID := make(map[string]*workflowRow)
	for i := range rows {
		r := &rows[i]
		w := byID[r.event.WorkflowID]
		if w == nil {
			w = &workflowRow{id: r.event.WorkflowID}
			byID[w.id] = w
		}
		w.lastSeq = max(w.lastSeq, r.seq)
		if r.workflow != nil {
			w.merge(r.workflow)
		}
	}
	sorted := slices.Collect(maps.Values(byID))
	slices.SortFunc(sorted, func(a, b *workflowRow) int { return strings.Compare(a.id, b.id) })
	return []any{
		column(sorted, func(w *workflowRow) string { return w.id }),
		column(sorted, func(w *workflowRow) int64 { return w.lastSeq }),
		column(sorted, func(w *workflowRow) *string { return w.name }),
		column(sorted, func(w *workflowRow) *time.Time { return w.createdAt }),
		column(sorted, func(w *workflowRow) *time.Time { return w.startedAt }),
		column(sorted, func(w *workflowRow) int64 { return w.stateSeq }),
		column(sorted, func(w *workflowRow) *string { return text(w.state) }),
		column(sorted, func(w *workflowRow) *time.Time { return w.finishedAt }),
		column(sorted, func(w *workflowRow) *string { return w.code }),
		column(sorted, func(w *workflowRow) *string { return w.reason }),
		column(sorted, func(w *workflowRow) *string { return text(string(w.artifacts)) }),
		column(sorted, func(w *workflowRow) int64 { return w.stageSeq }),
		column(sorted, func(w *workflowRow) *string { return w.stage }),
		column(sorted, func(w *workflowRow) int64 { return w.progressSeq }),
		column(sorted, func(w *workflowRow) int16 { return int16(w.percent) }), //nolint:gosec // 0 to 100
		column(sorted, func(w *workflowRow) *int64 { return w.attempt }),
		column(sorted, func(w *workflowRow) *string { return w.message }),
	}
}

// stageColumns are the arguments of [moveStages]; nil when no row ends a stage.
func stageColumns(rows []row) []any {
	latest := map[stageKey]*row{}
	for i := range rows {
		r := &rows[i]
		if r.stage == nil {
			continue
		}
		k := stageKey{r.event.WorkflowID, r.stage.stage, r.stage.Attempt}
		if l := latest[k]; l == nil || r.seq > l.seq {
			latest[k] = r
		}
	}
	if len(latest) == 0 {
		return nil
	}
	sorted := slices.SortedFunc(maps.Keys(latest), func(a, b stageKey) int {
		return cmp.Or(strings.Compare(a.workflowID, b.workflowID), strings.Compare(a.stage, b.stage), cmp.Compare(a.attempt, b.attempt))
	})
	ends := make([]*row, len(sorted))
	for i, k := range sorted {
		ends[i] = latest[k]
	}
	return []any{
		column(ends, func(r *row) string { return r.event.WorkflowID }),
		column(ends, func(r *row) string { return r.stage.stage }),
		column(ends, func(r *row) int64 { return int64(r.stage.Attempt) }),
		column(ends, func(r *row) string { return r.stage.outcome }),
		column(ends, func(r *row) *string { return text(r.stage.Code) }),
		column(ends, func(r *row) *string { return text(r.stage.Reason) }),
		column(ends, func(r *row) bool { return r.stage.Retryable }),
		column(ends, func(r *row) int64 { return r.stage.DurationMS }),
		column(ends, func(r *row) *string { return text(string(r.stage.Summary)) }),
		column(ends, func(r *row) *string { return text(string(r.stage.artifacts)) }),
		column(ends, func(r *row) *pgtype.UUID { return &r.stage.correlation }),
		column(ends, func(r *row) string { return r.event.SourceAgent }),
		column(ends, func(r *row) time.Time { return r.event.Timestamp }),
		column(ends, func(r *row) int64 { return r.seq }),
	}
}

// column is one field of every row, as the array that unnest takes: in pgx's own type, since it would
// encode a slice by reflection.
func column[R, V any](rows []R, field func(R) V) pgtype.FlatArray[V] {
	values := make(pgtype.FlatArray[V], len(rows))
	for i, r := range rows {
		values[i] = field(r)
	}
	return values
}
