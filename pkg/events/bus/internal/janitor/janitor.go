// Package janitor does the housekeeping of the streams: it trims what every group has
// acknowledged. Each member of a group offers to do it; the one that holds the lease does.
package janitor

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// trimStep bounds what the hard cap removes in one script call: about 3 ms of the
// server's time.
const trimStep = 1000

// Run trims until ctx ends, while this process holds the lease for it. One holder is
// enough; two for a moment do no harm, since each step is a script of its own.
func Run(ctx context.Context, conn *wire.Conn) {
	counter := func(name, help string) prometheus.Counter {
		return wire.Register(conn, prometheus.NewCounter(prometheus.CounterOpts{Name: "agentbus_bus_" + name, Help: help}))
	}
	j := janitor{
		conn:       conn,
		trimmed:    counter("trimmed_total", "Entries removed after every group acknowledged them."),
		capped:     counter("capped_unacknowledged_total", "Entries the hard cap removed before every group acknowledged them: data loss, but for what members had in hand."),
		lostToTrim: conn.LostToTrim(),
	}
	down := wire.Condition{Log: conn.Log, Bad: "housekeeping fails", Good: "housekeeping works again"}
	tick := time.NewTicker(conn.Intervals.Trim)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		held, err := conn.HoldDuty(ctx, "housekeeping", 2*conn.Intervals.Trim)
		if err == nil && held {
			err = j.trimAll(ctx)
		}
		if ctx.Err() == nil {
			down.Set(0, err)
		}
	}
}

type janitor struct {
	conn            *wire.Conn
	trimmed, capped prometheus.Counter
	lostToTrim      *prometheus.CounterVec // by group
}

// trimAll trims every stream, the groups' own included.
func (j *janitor) trimAll(ctx context.Context) error {
	now, err := j.conn.Redis.Time(ctx).Result()
	if err != nil {
		return err
	}
	names := j.conn.Names
	for part := range names.Parts() {
		for _, spec := range events.Catalogue() {
			if err := j.trim(ctx, names.Stream(spec.Type, part), spec.Type, part, now.Add(-j.conn.Retention(spec.Type))); err != nil {
				return err
			}
		}
		groups, err := j.conn.Redis.HKeys(ctx, names.Groups(part)).Result()
		if err != nil {
			return err
		}
		for _, group := range groups {
			// Of no type, so that only the group itself counts; nobody else looks at what it has handled.
			if err := j.trim(ctx, names.Replays(group, part), "", part, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// trim trims one stream of what was added before keep, and counts and tells what the hard cap took from groups
// that had not acknowledged it.
func (j *janitor) trim(ctx context.Context, stream string, typ events.Type, part int, keep time.Time) error {
	keepFrom := fmt.Sprintf("%d-0", keep.UnixMilli())
	var capped int64
	for more := true; more; {
		got, err := j.conn.Trim(ctx, stream, typ, part, keepFrom, trimStep)
		if err != nil {
			return fmt.Errorf("trim %s: %w", stream, err)
		}
		more = got.More
		capped += got.Unacknowledged
		j.trimmed.Add(float64(got.Entries))
		for group, n := range got.Undelivered {
			j.lostToTrim.WithLabelValues(group).Add(float64(n))
		}
	}
	if capped > 0 {
		j.capped.Add(float64(capped))
		j.conn.Log.Error().Str("stream", stream).Int64("entries", capped).
			Msg("the hard cap removed entries that a group had not acknowledged: they are lost to it; see BUS_MAX_ENTRIES")
	}
	return nil
}
