package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/service"
)

// group is the consumer group of all replicas.
const group = "db_writers"

// types are what the group reads: the life of workflows and how their stages ended.
func types() ([]events.Type, error) {
	return events.Match("workflow.*", "*.completed", "*.confirmed", "*.failed")
}

func run(ctx context.Context, cfg Config, rt *service.Runtime) error {
	read, err := types()
	if err != nil {
		return err
	}
	poolConfig, err := cfg.pool()
	if err != nil {
		return err
	}
	// Not ctx: the pool serves the batch in hand after ctx has ended.
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), poolConfig)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	defer pool.Close()

	w := &writer{pool: pool, timeout: cfg.WriteTimeout, log: rt.Log, metrics: newMetrics(rt.Metrics)}
	if cfg.Migrate != migrateNever {
		if err := w.prepare(ctx); err != nil {
			return err
		}
	}
	if cfg.Migrate == migrateOnly {
		return nil
	}

	cfg.Log, cfg.Metrics = rt.Log, rt.Metrics
	b, err := bus.Open(ctx, cfg.Config)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()

	rt.Ready("redis", b.Ping)
	rt.Ready("database", pool.Ping)
	return consumer.Run(ctx, b, consumer.Subscription{
		Group:       group,
		Types:       read,
		HandleBatch: w.handle,
		MaxBatch:    cfg.Batch,
		Gather:      5 * time.Millisecond,
		Prefetch:    2 * cfg.Batch, // one batch is read while one is written
		// A batch with poison rows takes several transactions.
		HandlerTimeout: 4 * cfg.WriteTimeout,
	})
}

// prepare migrates, waiting for a database that is not there yet: services and servers start in any
// order. A schema it cannot migrate is an error: no waiting mends it.
func (w *writer) prepare(ctx context.Context) error {
	const patience = time.Second // between looks
	for {
		n, err := migrate(ctx, w.pool)
		if err == nil {
			w.note("", nil)
			w.log.Info().Int("migrations", n).Msg("the schema is up to date")
			return nil
		}
		if kind := classify(err); kind == failSchema || kind == failData {
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		w.note(failServer, err)
		select {
		case <-ctx.Done():
		case <-time.After(patience):
		}
	}
}
