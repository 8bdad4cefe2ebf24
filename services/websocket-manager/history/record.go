package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"agentbus/pkg/events"
)

// Record is what the db-writer stored: workflow.* events and the ends of stages, for good.
type Record struct {
	pool *pgxpool.Pool
}

// OpenRecord prepares for DATABASE_URL; it connects when it is asked something. Close it.
func OpenRecord(ctx context.Context, address string) (*Record, error) {
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		// The library's error quotes the address, with its password.
		shown := "(not a URL)"
		if u, parseErr := url.Parse(address); parseErr == nil {
			shown = u.Redacted()
		}
		return nil, fmt.Errorf("DATABASE_URL=%s: is not an address of PostgreSQL, such as postgres://user@host:5432/agentbus", shown)
	}
	cfg.MaxConns = 4 // looking back is rare
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	return &Record{pool}, nil
}

// Close closes its connections.
func (r *Record) Close() { r.pool.Close() }

// Tenant is whom the workflow belongs to; "" when nothing stored says so.
func (r *Record) Tenant(ctx context.Context, workflowID string) (string, error) {
	var tenant string
	err := r.pool.QueryRow(ctx, `
		SELECT metadata ->> $2 FROM workflow_updates
		WHERE workflow_id = $1 AND metadata ? $2 ORDER BY seq LIMIT 1`, workflowID, events.MetadataTenant).Scan(&tenant)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return tenant, err
}

// last is the highest number stored of the workflow; 0 when there is none.
func (r *Record) last(ctx context.Context, workflowID string) (last int64, err error) {
	err = r.pool.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM workflow_updates WHERE workflow_id = $1`, workflowID).Scan(&last)
	return last, err
}

// events are those stored with numbers from and to, both included, in order.
func (r *Record) events(ctx context.Context, workflowID string, from, to int64) (map[int64]json.RawMessage, error) {
	// The order makes the latest win where a number stands twice: a workflow id used again after Redis was lost.
	rows, err := r.pool.Query(ctx, `
		SELECT seq, event_id::text, type, source_agent, occurred_at, data, metadata, extra FROM workflow_updates
		WHERE workflow_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY stored_at`, workflowID, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[int64]json.RawMessage{}
	for rows.Next() {
		e := events.Event{WorkflowID: workflowID}
		var seq int64
		if err := rows.Scan(&seq, &e.ID, &e.Type, &e.SourceAgent, &e.Timestamp, &e.Data, &e.Metadata, &e.Extra); err != nil {
			return nil, err
		}
		e.Timestamp = e.Timestamp.UTC()
		if out[seq], err = json.Marshal(e); err != nil {
			return nil, err
		}
	}
	return out, rows.Err()
}
