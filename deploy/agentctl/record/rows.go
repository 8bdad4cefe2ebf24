package record

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Rows is what PostgreSQL holds of a workflow.
type Rows struct {
	Workflow *WorkflowRow // nil when there is no row
	Updates  []string     // event ids of workflow_updates, by seq
	Stages   []StageRow   // of stage_results, by seq
}

// WorkflowRow is the row in workflows.
type WorkflowRow struct {
	Name, State, Stage, Code, Reason string
	Percent                          int
}

// StageRow is a row in stage_results.
type StageRow struct {
	Stage         string
	Attempt       int
	Outcome, Code string
	Reason        string
}

// ReadRows asks the database.
func ReadRows(ctx context.Context, databaseURL, workflowID string) (Rows, error) {
	var r Rows
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return r, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var w WorkflowRow
	err = conn.QueryRow(ctx, `SELECT coalesce(name, ''), state, coalesce(stage, ''), coalesce(code, ''), coalesce(reason, ''), percent
		FROM workflows WHERE id = $1`, workflowID).Scan(&w.Name, &w.State, &w.Stage, &w.Code, &w.Reason, &w.Percent)
	switch {
	case err == nil:
		r.Workflow = &w
	case !errors.Is(err, pgx.ErrNoRows):
		return r, fmt.Errorf("workflows: %w", err)
	}
	found, err := conn.Query(ctx, `SELECT event_id::text FROM workflow_updates WHERE workflow_id = $1 ORDER BY seq`, workflowID)
	if err == nil {
		r.Updates, err = pgx.CollectRows(found, pgx.RowTo[string])
	}
	if err != nil {
		return r, fmt.Errorf("workflow_updates: %w", err)
	}
	found, err = conn.Query(ctx, `SELECT stage, attempt, outcome, coalesce(code, ''), coalesce(reason, '')
		FROM stage_results WHERE workflow_id = $1 ORDER BY seq`, workflowID)
	if err == nil {
		r.Stages, err = pgx.CollectRows(found, pgx.RowToStructByPos[StageRow])
	}
	if err != nil {
		return r, fmt.Errorf("stage_results: %w", err)
	}
	return r, nil
}
