package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// look finds entries that nobody works on: those of members that died, and the
// member's own that it does not hold (a reply to XREADGROUP was lost). It counts
// its looks and compares no clocks.
type look struct {
	t        *tenure
	seen     map[string]sighting     // by partition and member
	stranded []map[entryKey]struct{} // by partition: own, not in hand at the last look
}

// sighting is a member's lease and for how many looks it has stood still.
type sighting struct {
	lease string
	still int
}

func newLook(t *tenure) *look {
	return &look{t: t, seen: make(map[string]sighting), stranded: make([]map[entryKey]struct{}, t.names.Parts())}
}

// run looks at once, since a successor must find what its predecessor left though
// neither lives for long, and then at every tick.
func (l *look) run(ctx context.Context) {
	var shelf sync.WaitGroup
	shelf.Go(func() { l.t.acks.undertaker.refetch(ctx) })
	defer shelf.Wait()
	tick := time.NewTicker(l.t.bus.rhythm.look)
	defer tick.Stop()
	for {
		if !l.t.gate.awaitOpen(ctx) {
			return
		}
		for part := range l.t.names.Parts() {
			// An error needs no word here: the readers tell when Redis is away.
			_ = l.t.recreate(ctx, part) // in case Redis forgot: trimming must know the group
			if err := l.others(ctx, part); err == nil {
				_ = l.own(ctx, part)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// others looks at the members' leases and takes over what the dead ones held.
func (l *look) others(ctx context.Context, part int) error {
	members, err := l.members(ctx, part)
	if err != nil {
		return err
	}
	for member, lease := range members {
		if member == l.t.bus.cfg.Member {
			continue
		}
		key := fmt.Sprint(part, "/", member)
		s, known := l.seen[key]
		if known && s.lease == lease {
			s.still++
		} else {
			s = sighting{lease: lease}
		}
		l.seen[key] = s
		if s.still < deadLooks && lease != leftLease {
			continue
		}
		gone, err := l.claim(ctx, part, member, lease)
		if err != nil {
			return err
		}
		if gone {
			delete(l.seen, key)
		}
	}
	return nil
}

// members are the leases by member. A consumer without one has an empty lease,
// which cannot be raised: a read of its own reached Redis after it was taken for
// dead, or the leases were deleted while it was down.
func (l *look) members(ctx context.Context, part int) (map[string]string, error) {
	pipe := l.t.bus.rdb.Pipeline()
	leases := pipe.HGetAll(ctx, l.t.names.Members(l.t.sub.Group, part))
	var consumers []*redis.XInfoConsumersCmd
	for _, stream := range l.t.streams(part) {
		consumers = append(consumers, pipe.XInfoConsumers(ctx, stream, l.t.sub.Group))
	}
	_, _ = pipe.Exec(ctx) // a stream without the group is the readers' business
	members, err := leases.Result()
	if err != nil {
		return nil, err
	}
	for _, cmd := range consumers {
		for _, c := range cmd.Val() {
			if _, ok := members[c.Name]; !ok {
				members[c.Name] = ""
			}
		}
	}
	return members, nil
}

// claim moves entries of a dead member here as room allows; gone means that
// nothing of it is left.
func (l *look) claim(ctx context.Context, part int, member, lease string) (gone bool, err error) {
	streams := l.t.streams(part)
	keys := append([]string{l.t.names.Members(l.t.sub.Group, part)}, streams...)
	for !gone {
		room := min(l.t.hand.room(), 1000)
		if room <= 0 {
			return false, nil
		}
		reply, err := claimScript.Run(context.WithoutCancel(ctx), l.t.bus.rdb, keys,
			l.t.sub.Group, l.t.bus.cfg.Member, member, lease, room).Slice()
		if err != nil {
			return false, err
		}
		gone = len(reply) > 0 && reply[0] == int64(1)
		var pend []pending
		for _, row := range reply[1:] {
			if f, ok := row.([]any); ok && len(f) == 3 {
				i, _ := f[0].(int64)
				id, _ := f[1].(string)
				n, _ := f[2].(int64)
				pend = append(pend, pending{entryKey{streams[i], id}, int(n)})
			}
		}
		if len(pend) == 0 {
			return gone, nil
		}
		l.t.claimed.Add(float64(len(pend)))
		l.t.log.Info().Str("from", member).Int("entries", len(pend)).Msg("took over entries of a member that died or left")
		if err := l.fetch(ctx, part, pend); err != nil {
			return false, err
		}
	}
	return gone, nil
}

// pending is an entry of the pending list with its deliveries so far.
type pending struct {
	entryKey
	begun int
}

// own takes entries that are pending under this member's name and were not in
// hand at two looks in a row: at one look they may just be arriving.
func (l *look) own(ctx context.Context, part int) error {
	pend, err := l.listOwn(ctx, part)
	if err != nil {
		return err
	}
	var twice []pending
	for _, p := range pend {
		if _, before := l.stranded[part][p.entryKey]; before {
			twice = append(twice, p)
		}
	}
	l.stranded[part] = make(map[entryKey]struct{}, len(pend))
	for _, p := range pend {
		l.stranded[part][p.entryKey] = struct{}{}
	}
	if len(twice) == 0 {
		return nil
	}
	l.t.claimed.Add(float64(len(twice)))
	l.t.log.Info().Int("entries", len(twice)).Msg("found entries stranded under the own name")
	return l.fetch(ctx, part, twice)
}

// takeOwn takes everything pending under this member's name; for the start of a
// tenure, when nothing is in hand.
func (l *look) takeOwn(ctx context.Context, part int) error {
	pend, err := l.listOwn(ctx, part)
	if err != nil || len(pend) == 0 {
		return err
	}
	l.t.log.Info().Int("entries", len(pend)).Msg("going on with entries this member had in hand before")
	return l.fetch(ctx, part, pend)
}

// listOwn lists what is pending under this member's name, not in hand and not put
// aside until there is memory for dead letters: those must not hide others.
func (l *look) listOwn(ctx context.Context, part int) ([]pending, error) {
	streams := l.t.streams(part)
	pipe := l.t.bus.rdb.Pipeline()
	cmds := make([]*redis.XPendingExtCmd, len(streams))
	for i, s := range streams {
		cmds[i] = pipe.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: s, Group: l.t.sub.Group,
			Start: "-", End: "+", Count: int64(2*l.t.sub.Prefetch + l.t.acks.undertaker.aside()), Consumer: l.t.bus.cfg.Member})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	var out []pending
	for i, cmd := range cmds {
		for _, p := range cmd.Val() {
			k := entryKey{streams[i], p.ID}
			if !l.t.hand.holds(k) && !l.t.acks.undertaker.keeps(k) {
				out = append(out, pending{k, int(p.RetryCount)})
			}
		}
	}
	return out, nil
}

// fetch reads the entries' content and queues them. One that was trimmed away is
// acknowledged and counted as lost.
func (l *look) fetch(ctx context.Context, part int, pend []pending) error {
	pipe := l.t.bus.rdb.Pipeline()
	cmds := make([]*redis.XMessageSliceCmd, len(pend))
	for i, p := range pend {
		cmds[i] = pipe.XRangeN(ctx, p.stream, p.id, p.id, 1)
	}
	if _, err := pipe.Exec(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	var raw []entry
	for i, cmd := range cmds {
		found := cmd.Val()
		if len(found) == 0 {
			l.t.lostToTrim.Inc()
			l.t.log.Error().Str("stream", pend[i].stream).Str("entry", pend[i].id).Msg("a pending entry was trimmed away before it was handled: it is lost to this group")
			d := &delivery{part: part}
			d.Stream, d.EntryID = pend[i].stream, pend[i].id
			l.t.acks.add(d)
			continue
		}
		raw = append(raw, entry{stream: pend[i].stream, id: found[0].ID, values: found[0].Values, begun: pend[i].begun, recovered: true})
	}
	l.t.accept(part, raw)
	return nil
}
