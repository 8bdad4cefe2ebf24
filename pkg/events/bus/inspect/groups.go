package inspect

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// GroupStatus is how far a group is, over all its streams.
type GroupStatus struct {
	Group       string        `json:"group"`
	Members     int           `json:"members"`      // processes that read for it and live, as far as this Inspector has looked
	Suspect     int           `json:"suspect"`      // those whose leases stand still: they died or hang
	Lag         int64         `json:"lag"`          // entries not yet delivered to the group
	Pending     int64         `json:"pending"`      // delivered, not acknowledged
	OldestAge   time.Duration `json:"oldest_age"`   // of the oldest entry not acknowledged; 0 when there is none
	DeadLetters int64         `json:"dead_letters"` // waiting for an operator
}

// Groups tells how far every registered group is, by name. Ages are by the Redis
// server's clock and never negative. A member lives while its lease moves, which
// one check cannot tell: the first call counts all leases as members, later
// ones those that stood still for 7 s as suspect. [Inspector.Survey] is for who asks once.
func (i *Inspector) Groups(ctx context.Context) ([]GroupStatus, error) {
	all, _, err := i.survey(ctx)
	return all, err
}

// Survey is [Inspector.Groups] for who asks once: it checks until it knows of each member
// whether it lives. That takes up to a beat, 3 s, when all do, and 7 s else.
func (i *Inspector) Survey(ctx context.Context) ([]GroupStatus, error) {
	for {
		all, sure, err := i.survey(ctx)
		if err != nil || sure {
			return all, err
		}
		if wire.Pause(ctx, i.conn.Intervals.Heartbeat/6); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// survey is one check; sure means that each member has moved, or stood still
// for long enough, while this Inspector looked.
func (i *Inspector) survey(ctx context.Context) (out []GroupStatus, sure bool, err error) {
	now, err := i.conn.Redis.Time(ctx).Result()
	if err != nil {
		return nil, false, err
	}
	all := make(map[string]*GroupStatus)
	leases := make(map[string]map[string]string)
	for part := range i.conn.Names.Parts() {
		if err := i.groupsOf(ctx, part, now, all, leases); err != nil {
			return nil, false, err
		}
	}
	sure = true
	for group, members := range i.members.observe(time.Now(), leases) {
		for _, m := range members {
			if m.still < i.conn.Intervals.SuspectAfter() {
				all[group].Members++
				sure = sure && m.moved
			} else {
				all[group].Suspect++
			}
		}
	}
	out = make([]GroupStatus, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, *all[name])
	}
	return out, sure, nil
}

// position is one group on one stream; oldest is its first unacknowledged entry's id.
type position struct {
	status    *GroupStatus
	info      redis.XInfoGroup
	firstPend *redis.XPendingCmd // nil: nothing is pending
	firstNew  *redis.XMessageSliceCmd
	length    *redis.IntCmd // of the stream, when the group is missing there
}

func (i *Inspector) groupsOf(ctx context.Context, part int, now time.Time, all map[string]*GroupStatus, leases map[string]map[string]string) error {
	registered, err := i.conn.Redis.HGetAll(ctx, i.conn.Names.Groups(part)).Result()
	if err != nil {
		return err
	}
	pipe := i.conn.Redis.Pipeline()
	infos := make(map[string]*redis.XInfoGroupsCmd)
	members := make(map[string]*redis.MapStringStringCmd)
	letters := make(map[string]*redis.IntCmd)
	for group, types := range registered {
		for _, t := range strings.Fields(types) {
			stream := i.conn.Names.Stream(events.Type(t), part)
			if infos[stream] == nil {
				infos[stream] = pipe.XInfoGroups(ctx, stream)
			}
		}
		replays := i.conn.Names.Replays(group, part)
		infos[replays] = pipe.XInfoGroups(ctx, replays)
		members[group] = pipe.HGetAll(ctx, i.conn.Names.Members(group, part))
		letters[group] = pipe.XLen(ctx, i.conn.Names.DeadLetters(group, part))
	}
	if _, err := pipe.Exec(ctx); err != nil && wire.Transient(err) {
		return err // a stream that does not exist is no error here
	}

	pipe = i.conn.Redis.Pipeline()
	var positions []position
	for group, types := range registered {
		st := all[group]
		if st == nil {
			st = &GroupStatus{Group: group}
			all[group] = st
			leases[group] = make(map[string]string)
		}
		wire.KeepLeases(leases[group], part, members[group].Val())
		st.DeadLetters += letters[group].Val()
		streams := []string{i.conn.Names.Replays(group, part)}
		for _, t := range strings.Fields(types) {
			streams = append(streams, i.conn.Names.Stream(events.Type(t), part))
		}
		for _, stream := range streams {
			positions = append(positions, newPosition(ctx, pipe, stream, group, infos[stream].Val(), st))
		}
	}
	if len(positions) == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil && wire.Transient(err) && !errors.Is(err, redis.Nil) {
		return err
	}
	for _, s := range positions {
		s.add(now)
	}
	return nil
}

// newPosition asks pipe for what is not in infos, the stream's groups.
func newPosition(ctx context.Context, pipe redis.Pipeliner, stream, group string, infos []redis.XInfoGroup, st *GroupStatus) position {
	info := redis.XInfoGroup{LastDeliveredID: "0-0"} // of a group that is missing: all is still to come
	for _, g := range infos {
		if g.Name == group {
			info = g
		}
	}
	s := position{status: st, info: info, firstNew: pipe.XRangeN(ctx, stream, "("+info.LastDeliveredID, "+", 1)}
	if info.Pending > 0 {
		s.firstPend = pipe.XPending(ctx, stream, group)
	}
	if info.Name == "" {
		s.length = pipe.XLen(ctx, stream)
	}
	return s
}

// add counts the position into its group's status. Redis' own lag is unknown or stale
// after a trim, so whether anything is undelivered is read from the stream.
func (s position) add(now time.Time) {
	s.status.Pending += s.info.Pending
	var oldest string
	if s.firstPend != nil && s.firstPend.Val() != nil {
		oldest = s.firstPend.Val().Lower
	}
	if fresh := s.firstNew.Val(); len(fresh) > 0 {
		if s.length != nil {
			s.info.Lag = s.length.Val()
		}
		s.status.Lag += max(s.info.Lag, 1)
		if oldest == "" || msOf(fresh[0].ID) < msOf(oldest) {
			oldest = fresh[0].ID
		}
	}
	if oldest != "" {
		age := max(0, now.UnixMilli()-msOf(oldest))
		s.status.OldestAge = max(s.status.OldestAge, time.Duration(age)*time.Millisecond)
	}
}

func msOf(entryID string) int64 { return wire.EntryKey{ID: entryID}.MS() }
