package consumer

import (
	"context"
	"fmt"
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// heartbeat is a member's sign of life: its lease in each partition's hash of members
// is "<incarnation>:<counter>", and it raises the counter. Others take it for dead when
// the counter stands still.
type heartbeat struct {
	group       *group
	incarnation string
	counter     int64
}

func newHeartbeat(g *group) *heartbeat {
	return &heartbeat{group: g, incarnation: fmt.Sprintf("%x", time.Now().UnixNano())}
}

func (h *heartbeat) lease() string { return fmt.Sprintf("%s:%d", h.incarnation, h.counter) }

// join registers the group, makes it where it is missing, and takes the lease,
// also over one an earlier process of this name left; false means that ctx ended
// first.
func (h *heartbeat) join(ctx context.Context, redisDown *wire.Condition) bool {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		var err error
		for part := 0; part < len(h.group.streams) && err == nil; part++ {
			_, err = h.group.enter(ctx, part, h.lease(), h.group.start)
		}
		if redisDown.Set(0, err); err == nil {
			return true
		}
		wire.Pause(ctx, wire.Backoff(attempt, 50*time.Millisecond, 2*time.Second, wire.Jitter))
	}
	return false
}

// run raises the counter until ctx ends; false means that the lease is gone.
// While Redis does not answer nobody can take it away either.
func (h *heartbeat) run(ctx context.Context) bool {
	tick := time.NewTicker(h.group.conn.Intervals.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-tick.C:
		}
		h.counter++
		for part := range h.group.streams {
			if held, err := h.beat(ctx, part); err == nil && !held {
				return false
			}
		}
	}
}

func (h *heartbeat) beat(ctx context.Context, part int) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.group.conn.Intervals.Heartbeat)
	defer cancel()
	return h.group.conn.Beat(ctx, h.group.name, part, h.incarnation, h.counter)
}

// leave removes the member where it holds nothing. Where it still does, the lease says
// that it left, and the others take the entries over when they next check.
func (h *heartbeat) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), wire.WriteTimeout)
	defer cancel()
	h.counter++ // the last beat may have been cut off; from here the lease is known
	for part, streams := range h.group.streams {
		held, err := h.beat(ctx, part)
		if err == nil && held {
			err = h.group.conn.Leave(ctx, h.group.name, part, streams, h.lease())
		}
		if err != nil || !held {
			h.group.log.Warn().Err(err).Msg("leaving the group could not be told to Redis; the others will notice")
			return
		}
	}
}
