package bus

import (
	"context"
	"fmt"
	"time"

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
			down.set(0, err)
		}
	}
}

// holdLease takes the lease of a duty, or prolongs it.
func (b *Bus) holdLease(ctx context.Context, duty string, life time.Duration) (bool, error) {
	n, err := dutyScript.Run(ctx, b.rdb, []string{b.names.Lease(duty)}, b.cfg.Member, life.Milliseconds()).Int()
	return n == 1, err
}

// capStep bounds what the hard cap removes in one script call: about 3 ms of the
// server's time.
const capStep = 1000

// trimAll trims every stream as trim.lua says.
func (b *Bus) trimAll(ctx context.Context) error {
	now, err := b.rdb.Time(ctx).Result()
	if err != nil {
		return err
	}
	keepFrom := fmt.Sprintf("%d-0", now.Add(-b.cfg.Retention).UnixMilli())
	for part := range b.names.Parts() {
		for _, spec := range events.Catalogue() {
			if err := b.trim(ctx, b.names.Stream(spec.Type, part), spec.Type, part, keepFrom); err != nil {
				return err
			}
		}
		groups, err := b.rdb.HKeys(ctx, b.names.Groups(part)).Result()
		if err != nil {
			return err
		}
		for _, group := range groups {
			// Of no type, so that only the group itself counts.
			if err := b.trim(ctx, b.names.Replays(group, part), "", part, keepFrom); err != nil {
				return err
			}
		}
	}
	return nil
}

// trim trims one stream, and counts and tells what the hard cap took from groups
// that had not acknowledged it.
func (b *Bus) trim(ctx context.Context, stream string, typ events.Type, part int, keepFrom string) error {
	keys := []string{stream, b.names.Groups(part), b.names.Adopted(typ, part)}
	var capped int64
	for more := true; more; {
		reply, err := trimScript.Run(ctx, b.rdb, keys, string(typ), keepFrom, b.cfg.MaxEntries, capStep).Slice()
		if err != nil {
			return fmt.Errorf("trim %s: %w", keys[0], err)
		}
		number := func(v any) int64 { n, _ := v.(int64); return n }
		b.metrics.trimmed.Add(float64(number(reply[0])))
		capped += number(reply[1])
		more = number(reply[2]) == 1
		for _, row := range reply[3:] {
			if f, ok := row.([]any); ok && len(f) == 2 {
				b.metrics.lostToTrim.WithLabelValues(fmt.Sprint(f[0])).Add(float64(number(f[1])))
			}
		}
	}
	if capped > 0 {
		b.metrics.cappedUnacked.Add(float64(capped))
		b.log.Error().Str("stream", keys[0]).Int64("entries", capped).
			Msg("the hard cap removed entries that a group had not acknowledged: they are lost to it; see BUS_MAX_ENTRIES")
	}
	return nil
}
