package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// copyUpdates takes what [appendCopy] writes.
const copyUpdates = `COPY workflow_updates (event_id, workflow_id, seq, type, source_agent, occurred_at, data, metadata, extra)
	FROM STDIN (FORMAT binary)`

// copyBuffers are for a batch each, 230 bytes per event of 350.
var copyBuffers = sync.Pool{New: func() any { return new([]byte) }}

// copyAll stores events none of which is there yet. When one is, all fail: see [isDuplicate].
func copyAll(ctx context.Context, tx pgx.Tx, rows []row) ([]row, error) {
	buf := copyBuffers.Get().(*[]byte)
	*buf = appendCopy((*buf)[:0], rows)
	if _, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(*buf), copyUpdates); err != nil {
		return nil, fmt.Errorf("copy events: %w", err) // where the connection broke, pgx may still read buf
	}
	copyBuffers.Put(buf)
	return rows, nil
}

// isDuplicate: an event was stored before, or stands in its batch twice.
func isDuplicate(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505" // unique_violation
}

// appendCopy writes rows as COPY's binary format has them: a signature without flags, each row as a
// number of fields with their lengths, and an end. The order is that of [copyUpdates].
func appendCopy(out []byte, rows []row) []byte {
	out = append(out, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for i := range rows {
		r := &rows[i]
		out = binary.BigEndian.AppendUint16(out, 9)
		out = append(appendLength(out, len(r.id)), r.id[:]...)
		out = appendText(out, r.event.WorkflowID)
		out = appendBigint(out, r.seq)
		out = appendText(out, string(r.event.Type))
		out = appendText(out, r.event.SourceAgent)
		out = appendTime(out, r.event.Timestamp)
		out = appendJSONB(out, r.event.Data)
		out = appendJSONB(out, r.metadata)
		out = appendJSONB(out, r.extra)
	}
	return append(out, 0xff, 0xff)
}

func appendLength(out []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(out, uint32(n)) //nolint:gosec // far below 4 GB
}

func appendText(out []byte, s string) []byte { return append(appendLength(out, len(s)), s...) }

func appendBigint(out []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(appendLength(out, 8), uint64(n)) //nolint:gosec // its two's complement is meant
}

// appendTime counts microseconds from PostgreSQL's own beginning of time.
func appendTime(out []byte, t time.Time) []byte {
	const year2000 = 946_684_800_000_000
	return appendBigint(out, t.UnixMicro()-year2000)
}

// appendJSONB writes version 1 of the type, which is the text; none is NULL.
func appendJSONB(out, text []byte) []byte {
	if len(text) == 0 {
		return append(out, 0xff, 0xff, 0xff, 0xff)
	}
	return append(append(appendLength(out, 1+len(text)), 1), text...)
}
