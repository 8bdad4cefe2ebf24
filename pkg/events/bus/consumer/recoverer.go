package consumer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events/bus/internal/wire"
)

// recoverer finds entries that nobody works on: those of members that died, the
// member's own that it does not hold (a reply to XREADGROUP was lost), and those that
// were postponed.
type recoverer struct {
	group     *group
	inflight  *inflight
	breaker   *breaker
	fetcher   *fetcher
	letters   *deadLetterWriter
	postponed *postponed
	prefetch  int
	claimed   prometheus.Counter

	detector *failureDetector
	stranded []map[wire.EntryKey]struct{} // by partition: own, not held at the last check
}

// run checks at once, since a successor must find what its predecessor left though
// neither lives for long, and then at every tick.
func (r *recoverer) run(ctx context.Context) {
	var fetching sync.WaitGroup
	fetching.Go(func() { r.fetchPostponed(ctx) })
	defer fetching.Wait()
	tick := time.NewTicker(r.group.conn.Intervals.Check)
	defer tick.Stop()
	for r.breaker.awaitSink(ctx) {
		for part := range r.group.streams {
			// An error needs no word here: the readers tell when Redis is away.
			_ = r.group.recreate(ctx, part) // in case Redis forgot: trimming must know the group
			if err := r.others(ctx, part); err == nil {
				_ = r.own(ctx, part)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// others checks the group's members and takes over what the dead ones held.
func (r *recoverer) others(ctx context.Context, part int) error {
	members, err := r.members(ctx, part)
	if err != nil {
		return err
	}
	for name, m := range members {
		if name == r.group.conn.Member || !r.detector.dead(fmt.Sprint(part, "/", name), m) {
			continue
		}
		gone, err := r.claim(ctx, part, name, m.lease)
		if err != nil {
			return err
		}
		if gone {
			r.detector.forget(fmt.Sprint(part, "/", name))
		}
	}
	return nil
}

// members are what a check sees of each member of the group.
func (r *recoverer) members(ctx context.Context, part int) (map[string]observation, error) {
	g := r.group
	pipe := g.conn.Redis.Pipeline()
	leases := pipe.HGetAll(ctx, g.conn.Names.Members(g.name, part))
	var consumers []*redis.XInfoConsumersCmd
	for _, stream := range g.streams[part] {
		consumers = append(consumers, pipe.XInfoConsumers(ctx, stream, g.name))
	}
	_, _ = pipe.Exec(ctx) // a stream without the group is the readers' business
	if err := leases.Err(); err != nil {
		return nil, err
	}
	members := make(map[string]observation)
	for name, lease := range leases.Val() {
		members[name] = observation{lease: lease}
	}
	for _, cmd := range consumers {
		for _, c := range cmd.Val() {
			m, known := members[c.Name]
			if !known || m.lease == "" && c.Idle < m.idle {
				members[c.Name] = observation{idle: c.Idle}
			}
		}
	}
	return members, nil
}

// claim moves entries of a dead member here as room allows; gone means that
// nothing of it is left.
func (r *recoverer) claim(ctx context.Context, part int, member, lease string) (gone bool, err error) {
	g := r.group
	for !gone {
		room := min(r.inflight.room(), 1000)
		if room <= 0 {
			return false, nil
		}
		var moved []wire.Pending
		gone, moved, err = g.conn.Claim(context.WithoutCancel(ctx), g.name, part, g.streams[part], member, lease, room, r.detector.untouched(lease))
		if err != nil {
			return false, err
		}
		if len(moved) == 0 {
			return gone, nil
		}
		r.claimed.Add(float64(len(moved)))
		g.log.Info().Str("from", member).Int("entries", len(moved)).Msg("took over entries of a member that died or left")
		if err := r.fetcher.fetch(ctx, part, moved); err != nil {
			return false, err
		}
	}
	return gone, nil
}

// own takes entries that are pending under this member's name and were not held at two
// checks in a row: at one they may just be arriving.
func (r *recoverer) own(ctx context.Context, part int) error {
	pending, err := r.listOwn(ctx, part)
	if err != nil {
		return err
	}
	var twice []wire.Pending
	for _, p := range pending {
		if _, before := r.stranded[part][p.EntryKey]; before {
			twice = append(twice, p)
		}
	}
	r.stranded[part] = make(map[wire.EntryKey]struct{}, len(pending))
	for _, p := range pending {
		r.stranded[part][p.EntryKey] = struct{}{}
	}
	if len(twice) == 0 {
		return nil
	}
	r.claimed.Add(float64(len(twice)))
	r.group.log.Info().Int("entries", len(twice)).Msg("found entries stranded under the own name")
	return r.fetcher.fetch(ctx, part, twice)
}

// takeOwn takes everything pending under this member's name; for the start of a
// membership, when nothing is held.
func (r *recoverer) takeOwn(ctx context.Context, part int) error {
	pending, err := r.listOwn(ctx, part)
	if err != nil || len(pending) == 0 {
		return err
	}
	r.group.log.Info().Int("entries", len(pending)).Msg("going on with entries this member had in hand before")
	return r.fetcher.fetch(ctx, part, pending)
}

// listOwn lists what is pending under this member's name, neither held nor postponed:
// those must not hide others.
func (r *recoverer) listOwn(ctx context.Context, part int) ([]wire.Pending, error) {
	g := r.group
	pipe := g.conn.Redis.Pipeline()
	cmds := make([]*redis.XPendingExtCmd, len(g.streams[part]))
	for i, s := range g.streams[part] {
		cmds[i] = pipe.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: s, Group: g.name,
			Start: "-", End: "+", Count: int64(2*r.prefetch + r.postponed.len()), Consumer: g.conn.Member})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	var out []wire.Pending
	for i, cmd := range cmds {
		for _, p := range cmd.Val() {
			k := wire.EntryKey{Stream: g.streams[part][i], ID: p.ID}
			if !r.inflight.holds(k) && !r.postponed.has(k) {
				out = append(out, wire.Pending{EntryKey: k, Begun: int(p.RetryCount)})
			}
		}
	}
	return out, nil
}

// fetchPostponed fetches postponed entries whenever the letters before them are
// written, as far as there is room, until ctx ends.
func (r *recoverer) fetchPostponed(ctx context.Context) {
	for {
		select {
		case <-r.letters.written:
		case <-ctx.Done():
			return
		}
		for !r.letters.busy() && r.postponed.len() > 0 {
			if !r.breaker.awaitSink(ctx) {
				return
			}
			room := r.inflight.awaitRoom(ctx)
			if room == 0 {
				return
			}
			part, pending := r.postponed.take(min(room, r.prefetch))
			if err := r.fetcher.fetch(ctx, part, pending); err != nil {
				r.postponed.add(part, pending...)
				wire.Pause(ctx, 100*time.Millisecond)
			}
		}
	}
}
