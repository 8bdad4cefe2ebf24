package bus

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// GroupStatus is how far a group is, over all its streams.
type GroupStatus struct {
	Group       string        `json:"group"`
	Members     int           `json:"members"`      // processes that read for it and live, as far as this Bus has looked
	Suspect     int           `json:"suspect"`      // those whose leases stand still: they died or hang
	Lag         int64         `json:"lag"`          // entries not yet delivered to the group
	Pending     int64         `json:"pending"`      // delivered, not acknowledged
	OldestAge   time.Duration `json:"oldest_age"`   // of the oldest entry not acknowledged; 0 when there is none
	DeadLetters int64         `json:"dead_letters"` // waiting for an operator
}

// Groups tells how far every registered group is, by name. Ages are by the Redis
// server's clock and never negative. A member lives while its lease moves, which
// one look cannot tell: the first call of a Bus counts all leases as members, later
// ones those that stood still for 7 s as suspect. [Bus.Survey] is for who asks once.
func (b *Bus) Groups(ctx context.Context) ([]GroupStatus, error) {
	all, _, err := b.lookAtGroups(ctx)
	return all, err
}

// Survey is [Bus.Groups] for who asks once: it looks until it knows of each member
// whether it lives. That takes up to a beat, 3 s, when all do, and 7 s else.
func (b *Bus) Survey(ctx context.Context) ([]GroupStatus, error) {
	for {
		all, sure, err := b.lookAtGroups(ctx)
		if err != nil || sure {
			return all, err
		}
		if pause(ctx, b.rhythm.beat/6); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// lookAtGroups is one look; sure means that each member has moved, or stood still
// for long enough, while this Bus looked.
func (b *Bus) lookAtGroups(ctx context.Context) (out []GroupStatus, sure bool, err error) {
	now, err := b.rdb.Time(ctx).Result()
	if err != nil {
		return nil, false, err
	}
	all := make(map[string]*GroupStatus)
	leases := make(map[string]map[string]string)
	for part := range b.names.Parts() {
		if err := b.groupsOf(ctx, part, now, all, leases); err != nil {
			return nil, false, err
		}
	}
	sure = true
	for group, members := range b.census.look(time.Now(), leases) {
		for _, m := range members {
			if m.still < b.rhythm.suspectAfter() {
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

// spot is one group on one stream; oldest is its first unacknowledged entry's id.
type spot struct {
	status    *GroupStatus
	info      redis.XInfoGroup
	firstPend *redis.XPendingCmd // nil: nothing is pending
	firstNew  *redis.XMessageSliceCmd
	length    *redis.IntCmd // of the stream, when the group is missing there
}

func (b *Bus) groupsOf(ctx context.Context, part int, now time.Time, all map[string]*GroupStatus, leases map[string]map[string]string) error {
	registered, err := b.rdb.HGetAll(ctx, b.names.Groups(part)).Result()
	if err != nil {
		return err
	}
	pipe := b.rdb.Pipeline()
	infos := make(map[string]*redis.XInfoGroupsCmd)
	members := make(map[string]*redis.MapStringStringCmd)
	letters := make(map[string]*redis.IntCmd)
	for group, types := range registered {
		for _, t := range strings.Fields(types) {
			stream := b.names.Stream(events.Type(t), part)
			if infos[stream] == nil {
				infos[stream] = pipe.XInfoGroups(ctx, stream)
			}
		}
		replays := b.names.Replays(group, part)
		infos[replays] = pipe.XInfoGroups(ctx, replays)
		members[group] = pipe.HGetAll(ctx, b.names.Members(group, part))
		letters[group] = pipe.XLen(ctx, b.names.DeadLetters(group, part))
	}
	if _, err := pipe.Exec(ctx); err != nil && transient(err) {
		return err // a stream that does not exist is no error here
	}

	pipe = b.rdb.Pipeline()
	var spots []spot
	for group, types := range registered {
		st := all[group]
		if st == nil {
			st = &GroupStatus{Group: group}
			all[group] = st
			leases[group] = make(map[string]string)
		}
		keepLeases(leases[group], part, members[group].Val())
		st.DeadLetters += letters[group].Val()
		streams := []string{b.names.Replays(group, part)}
		for _, t := range strings.Fields(types) {
			streams = append(streams, b.names.Stream(events.Type(t), part))
		}
		for _, stream := range streams {
			spots = append(spots, newSpot(ctx, pipe, stream, group, infos[stream].Val(), st))
		}
	}
	if len(spots) == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil && transient(err) && !errors.Is(err, redis.Nil) {
		return err
	}
	for _, s := range spots {
		s.add(now)
	}
	return nil
}

// newSpot asks pipe for what is not in infos, the stream's groups.
func newSpot(ctx context.Context, pipe redis.Pipeliner, stream, group string, infos []redis.XInfoGroup, st *GroupStatus) spot {
	info := redis.XInfoGroup{LastDeliveredID: "0-0"} // of a group that is missing: all is still to come
	for _, g := range infos {
		if g.Name == group {
			info = g
		}
	}
	s := spot{status: st, info: info, firstNew: pipe.XRangeN(ctx, stream, "("+info.LastDeliveredID, "+", 1)}
	if info.Pending > 0 {
		s.firstPend = pipe.XPending(ctx, stream, group)
	}
	if info.Name == "" {
		s.length = pipe.XLen(ctx, stream)
	}
	return s
}

// add counts the spot into its group's status. Redis' own lag is unknown or stale
// after a trim, so whether anything is undelivered is read from the stream.
func (s spot) add(now time.Time) {
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
		if oldest == "" || entryMS(fresh[0].ID) < entryMS(oldest) {
			oldest = fresh[0].ID
		}
	}
	if oldest != "" {
		age := max(0, now.UnixMilli()-int64(entryMS(oldest)))
		s.status.OldestAge = max(s.status.OldestAge, time.Duration(age)*time.Millisecond)
	}
}
