package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// tidy does the housekeeping of the streams while this process holds the lease
// for it: trimming. One holder is enough; two for a moment do no harm, since each
// step is a script of its own.
func (b *Bus) tidy(ctx context.Context) {
	down := condition{log: b.log, bad: "housekeeping fails", good: "housekeeping works again"}
	tick := time.NewTicker(b.rhythm.tidy)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		held, err := b.holdLease(ctx, "housekeeping", 2*b.rhythm.tidy)
		if err == nil && held {
			err = b.trimAll(ctx)
		}
		if ctx.Err() == nil {
			down.set(err)
		}
	}
}

// holdLease takes the lease of a duty, or prolongs it.
func (b *Bus) holdLease(ctx context.Context, duty string, life time.Duration) (bool, error) {
	key := b.names.Lease(duty)
	holder, err := b.rdb.SetArgs(ctx, key, b.cfg.Member, redis.SetArgs{Mode: "NX", Get: true, TTL: life}).Result()
	switch {
	case errors.Is(err, redis.Nil): // nobody held it
		return true, nil
	case err != nil || holder != b.cfg.Member:
		return false, err
	}
	return true, b.rdb.PExpire(ctx, key, life).Err()
}

// trimAll trims every stream as trim.lua says.
func (b *Bus) trimAll(ctx context.Context) error {
	now, err := b.rdb.Time(ctx).Result()
	if err != nil {
		return err
	}
	keepFrom := fmt.Sprintf("%d-0", now.Add(-b.cfg.Retention).UnixMilli())
	for part := range b.names.Parts() {
		for _, spec := range events.Catalogue() {
			keys := []string{b.names.Stream(spec.Type, part), b.names.Groups(part), b.names.Adopted(spec.Type, part)}
			n, err := trimScript.Run(ctx, b.rdb, keys, string(spec.Type), keepFrom, b.cfg.MaxEntries).Int64Slice()
			if err != nil {
				return fmt.Errorf("trim %s: %w", keys[0], err)
			}
			b.metrics.trimmed.Add(float64(n[0]))
			if n[1] > 0 {
				b.metrics.cappedUnacked.Add(float64(n[1]))
				b.log.Error().Str("stream", keys[0]).Int64("entries", n[1]).
					Msg("the hard cap removed entries that a group had not acknowledged: they are lost to it; see BUS_MAX_ENTRIES")
			}
		}
	}
	return nil
}
