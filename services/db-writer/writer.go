package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"agentbus/pkg/events/bus/consumer"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"
)

// conflictTries is how often a transaction is done again when another one was in its way. Rows are
// locked in one order everywhere, so that this is rare.
const conflictTries = 3

// writer is the group's handler. Its methods may be called from several goroutines.
type writer struct {
	pool    *pgxpool.Pool
	timeout time.Duration
	log     zerolog.Logger
	metrics *metrics

	mu    sync.Mutex
	state failure // of the latest transaction; "" is well
}

// rowSlices are for the rows of a batch each, 250 bytes per event.
var rowSlices = sync.Pool{New: func() any { return new([]row) }}

// handle stores a batch and says for each message what became of it: nil, Permanent or Unavailable.
func (w *writer) handle(ctx context.Context, batch []consumer.Message) []error {
	outcome := make([]error, len(batch))
	kept := rowSlices.Get().(*[]row)
	rows := (*kept)[:0]
	defer func() {
		clear(rows) // what the batch has said is not kept
		*kept = rows
		rowSlices.Put(kept)
	}()
	for i, m := range batch {
		r, err := newRow(i, m)
		if err != nil {
			w.metrics.poison.Inc()
			outcome[i] = consumer.Permanent(err)
			continue
		}
		rows = append(rows, r)
	}
	w.write(ctx, rows, outcome)
	return outcome
}

// write stores rows in one transaction; when their content is refused, in halves, until the rows to
// blame stand alone: about 2*log2(n) transactions for one among n.
func (w *writer) write(ctx context.Context, rows []row, outcome []error) {
	if len(rows) == 0 {
		return
	}
	err := w.transact(ctx, rows)
	switch {
	case err == nil:
	case classify(err) != failData:
		for _, r := range rows {
			outcome[r.index] = consumer.Unavailable(err)
		}
	case len(rows) == 1:
		w.metrics.poison.Inc()
		outcome[rows[0].index] = consumer.Permanent(err)
	default:
		w.write(ctx, rows[:len(rows)/2], outcome)
		w.write(ctx, rows[len(rows)/2:], outcome)
	}
}

// transact runs one transaction to its end and keeps count.
func (w *writer) transact(ctx context.Context, rows []row) (err error) {
	for range conflictTries {
		var stored int
		start := time.Now()
		tx, cancel := context.WithTimeout(ctx, w.timeout)
		stored, err = store(tx, w.pool, rows)
		cancel()
		w.metrics.txSeconds.Observe(time.Since(start).Seconds())
		w.metrics.batchRows.Observe(float64(len(rows)))
		if err == nil {
			w.metrics.stored.Add(float64(stored))
			w.metrics.duplicates.Add(float64(len(rows) - stored))
			w.note("", nil)
			return nil
		}
		kind := classify(err)
		w.metrics.failures.WithLabelValues(string(kind)).Inc()
		if kind != failConflict {
			if ctx.Err() == nil || !errors.Is(err, ctx.Err()) { // leaving is no state of the database
				w.note(kind, err)
			}
			return err
		}
	}
	return err
}

// note writes one line when the database's state changes, and keeps the gauge.
func (w *writer) note(kind failure, err error) {
	if kind == failData {
		kind = "" // it answered; the row is to blame, and the dead letter says why
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if kind == "" {
		w.metrics.available.Set(1)
	} else {
		w.metrics.available.Set(0)
	}
	if kind == w.state {
		return
	}
	w.state = kind
	switch kind {
	case "":
		w.log.Info().Msg("the database takes writes again")
	case failSchema:
		w.log.Error().Err(err).Msg("the database's schema or rights do not fit this version: nothing is stored and nothing given up until they do")
	default:
		w.log.Warn().Err(err).Msg("the database is unavailable: the group waits")
	}
}
