package main

import (
	"cmp"
	"context"
	_ "embed" // the statements
	"fmt"
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
func store(ctx context.Context, pool *pgxpool.Pool, rows []row) (int, error) {
	n := 0
	err := pgx.BeginTxFunc(ctx, pool, transaction, func(tx pgx.Tx) error {
		fresh, err := insertNew(ctx, tx, rows)
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
	if err != nil {
		return 0, fmt.Errorf("store %d events: %w", len(rows), err)
	}
	return n, nil
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
		column(rows, func(r row) *string { return r.data }),
		column(rows, func(r row) *string { return r.metadata }),
		column(rows, func(r row) *string { return r.extra }))
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

// workflowColumns folds the rows to one change per workflow, as arguments of [moveWorkflows].
func workflowColumns(rows []row) []any {
	changes := map[string]*workflowChange{}
	for _, r := range rows {
		if c, ok := changes[r.workflow.id]; ok {
			c.merge(r.workflow)
		} else {
			c := r.workflow
			changes[c.id] = &c
		}
	}
	sorted := make([]*workflowChange, 0, len(changes))
	for _, c := range changes {
		sorted = append(sorted, c)
	}
	slices.SortFunc(sorted, func(a, b *workflowChange) int { return strings.Compare(a.id, b.id) })
	return []any{
		column(sorted, func(c *workflowChange) string { return c.id }),
		column(sorted, func(c *workflowChange) int64 { return c.lastSeq }),
		column(sorted, func(c *workflowChange) *string { return c.name }),
		column(sorted, func(c *workflowChange) *time.Time { return c.createdAt }),
		column(sorted, func(c *workflowChange) *time.Time { return c.startedAt }),
		column(sorted, func(c *workflowChange) int64 { return c.stateSeq }),
		column(sorted, func(c *workflowChange) *string { return text(c.state) }),
		column(sorted, func(c *workflowChange) *time.Time { return c.finishedAt }),
		column(sorted, func(c *workflowChange) *string { return c.code }),
		column(sorted, func(c *workflowChange) *string { return c.reason }),
		column(sorted, func(c *workflowChange) *string { return c.artifacts }),
		column(sorted, func(c *workflowChange) int64 { return c.stageSeq }),
		column(sorted, func(c *workflowChange) *string { return c.stage }),
		column(sorted, func(c *workflowChange) int64 { return c.progressSeq }),
		column(sorted, func(c *workflowChange) int16 { return int16(c.percent) }), //nolint:gosec // 0 to 100
		column(sorted, func(c *workflowChange) *int64 { return c.attempt }),
		column(sorted, func(c *workflowChange) *string { return c.message }),
	}
}

// stageColumns are the arguments of [moveStages]; nil when no row ends a stage.
func stageColumns(rows []row) []any {
	latest := map[stageKey]*stageResult{}
	for _, r := range rows {
		if s := r.stage; s != nil && (latest[s.stageKey] == nil || s.seq > latest[s.stageKey].seq) {
			latest[s.stageKey] = s
		}
	}
	if len(latest) == 0 {
		return nil
	}
	sorted := make([]*stageResult, 0, len(latest))
	for _, s := range latest {
		sorted = append(sorted, s)
	}
	slices.SortFunc(sorted, func(a, b *stageResult) int {
		return cmp.Or(strings.Compare(a.workflowID, b.workflowID), strings.Compare(a.stage, b.stage), cmp.Compare(a.attempt, b.attempt))
	})
	return []any{
		column(sorted, func(s *stageResult) string { return s.workflowID }),
		column(sorted, func(s *stageResult) string { return s.stage }),
		column(sorted, func(s *stageResult) int64 { return s.attempt }),
		column(sorted, func(s *stageResult) string { return s.outcome }),
		column(sorted, func(s *stageResult) *string { return s.code }),
		column(sorted, func(s *stageResult) *string { return s.reason }),
		column(sorted, func(s *stageResult) bool { return s.retryable }),
		column(sorted, func(s *stageResult) int64 { return s.durationMS }),
		column(sorted, func(s *stageResult) *string { return s.summary }),
		column(sorted, func(s *stageResult) *string { return s.artifacts }),
		column(sorted, func(s *stageResult) pgtype.UUID { return pgtype.UUID{Bytes: s.correlation, Valid: true} }),
		column(sorted, func(s *stageResult) string { return s.source }),
		column(sorted, func(s *stageResult) time.Time { return s.finishedAt }),
		column(sorted, func(s *stageResult) int64 { return s.seq }),
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
