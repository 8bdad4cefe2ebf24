package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// deadlineLook is how often due deadlines are looked for: how late a coordinator
// may act on one.
const deadlineLook = 200 * time.Millisecond

// taskSweep is how often the index of tasks is swept.
const taskSweep = time.Minute

// watchDeadlines acts on deadlines that have passed, until ctx ends. Every replica
// watches all: the commit decides who acts.
func (c *coordinator) watchDeadlines(ctx context.Context) error {
	tick := time.NewTicker(deadlineLook)
	defer tick.Stop()
	var swept time.Time
	down := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := c.expireDue(ctx)
		if err == nil && time.Since(swept) >= taskSweep {
			if err = c.store.sweepTasks(ctx); err == nil {
				swept = time.Now()
			}
		}
		if ctx.Err() == nil && (err != nil) != down { // one line per change
			down = err != nil
			c.store.log.Warn().Err(err).Bool("failing", down).Msg("watching deadlines")
		}
	}
}

func (c *coordinator) expireDue(ctx context.Context) error {
	names := c.store.bus.Names()
	now := strconv.FormatInt(c.store.now().UnixMilli(), 10)
	for part := range names.Parts() {
		due, err := c.store.bus.Client().ZRangeByScore(ctx, names.Deadlines(part),
			&redis.ZRangeBy{Min: "-inf", Max: now, Count: 100}).Result()
		if err != nil {
			return err
		}
		for _, id := range due {
			if err := c.expire(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *coordinator) expire(ctx context.Context, id string) error {
	w, _, err := c.store.load(ctx, id)
	names := c.store.bus.Names()
	switch {
	case errors.Is(err, errUnknown) || err == nil && w.State.Final():
		return c.store.bus.Client().ZRem(ctx, names.Deadlines(names.Partition(id)), id).Err()
	case err != nil:
		return err
	}
	var leases map[string]string
	if w.stage().Phase == asked {
		if leases, err = c.operator.Leases(ctx, w.stage().Name.Group()); err != nil {
			return err
		}
	}
	return c.change(ctx, id, func(w *workflow, now time.Time) []note { return c.machine.expire(w, leases, now) })
}
