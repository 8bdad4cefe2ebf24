package consumer

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events/bus/internal/wire"
)

// fetcher reads the content of entries that are pending under this member's name and
// gives them to the intake.
type fetcher struct {
	group  *group
	intake *intake
	acks   *acknowledger
	lost   prometheus.Counter // to trimming
}

// fetch takes entries of one partition. One that was trimmed away is acknowledged and
// counted as lost.
func (f *fetcher) fetch(ctx context.Context, part int, pending []wire.Pending) error {
	pipe := f.group.conn.Redis.Pipeline()
	cmds := make([]*redis.XMessageSliceCmd, len(pending))
	for i, p := range pending {
		cmds[i] = pipe.XRangeN(ctx, p.Stream, p.ID, p.ID, 1)
	}
	if _, err := pipe.Exec(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	var entries []wire.Entry
	for i, cmd := range cmds {
		if found := cmd.Val(); len(found) > 0 {
			en := wire.NewEntry(pending[i].Stream, found[0])
			en.Begun, en.Recovered = pending[i].Begun, true
			entries = append(entries, en)
			continue
		}
		f.lost.Inc()
		f.group.log.Error().Str("stream", pending[i].Stream).Str("entry", pending[i].ID).Msg("a pending entry was trimmed away before it was handled: it is lost to this group")
		f.acks.add(pending[i].EntryKey)
	}
	f.intake.accept(part, entries)
	return nil
}
