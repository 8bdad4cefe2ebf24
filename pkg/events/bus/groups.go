package bus

import (
	"context"
	"errors"
	"fmt"
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
	Members     int           `json:"members"`      // processes with a lease
	Lag         int64         `json:"lag"`          // entries not yet delivered to the group
	Pending     int64         `json:"pending"`      // delivered, not acknowledged
	OldestAge   time.Duration `json:"oldest_age"`   // of the oldest entry not acknowledged; 0 when there is none
	DeadLetters int64         `json:"dead_letters"` // waiting for an operator
}

// Groups tells how far every registered group is, by name. Ages are by the Redis
// server's clock and never negative.
func (b *Bus) Groups(ctx context.Context) ([]GroupStatus, error) {
	now, err := b.rdb.Time(ctx).Result()
	if err != nil {
		return nil, err
	}
	all := make(map[string]*GroupStatus)
	for part := range b.names.Parts() {
		if err := b.groupsOf(ctx, part, now, all); err != nil {
			return nil, err
		}
	}
	out := make([]GroupStatus, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, *all[name])
	}
	return out, nil
}

// spot is one group on one stream; oldest is its first unacknowledged entry's id.
type spot struct {
	status    *GroupStatus
	info      redis.XInfoGroup
	firstPend *redis.XPendingCmd // nil: nothing is pending
	firstNew  *redis.XMessageSliceCmd
	length    *redis.IntCmd // of the stream, when the group is missing there
}

func (b *Bus) groupsOf(ctx context.Context, part int, now time.Time, all map[string]*GroupStatus) error {
	registered, err := b.rdb.HGetAll(ctx, b.names.Groups(part)).Result()
	if err != nil {
		return err
	}
	pipe := b.rdb.Pipeline()
	infos := make(map[string]*redis.XInfoGroupsCmd)
	extra := make(map[string][2]*redis.IntCmd)
	for group, types := range registered {
		for _, t := range strings.Fields(types) {
			stream := b.names.Stream(events.Type(t), part)
			if infos[stream] == nil {
				infos[stream] = pipe.XInfoGroups(ctx, stream)
			}
		}
		replays := b.names.Replays(group, part)
		infos[replays] = pipe.XInfoGroups(ctx, replays)
		extra[group] = [2]*redis.IntCmd{pipe.HLen(ctx, b.names.Members(group, part)), pipe.XLen(ctx, b.names.DeadLetters(group, part))}
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
		}
		st.Members = max(st.Members, int(extra[group][0].Val()))
		st.DeadLetters += extra[group][1].Val()
		streams := []string{b.names.Replays(group, part)}
		for _, t := range strings.Fields(types) {
			streams = append(streams, b.names.Stream(events.Type(t), part))
		}
		for _, stream := range streams {
			info := redis.XInfoGroup{LastDeliveredID: "0-0"} // of a group that is missing: all is still to come
			for _, g := range infos[stream].Val() {
				if g.Name == group {
					info = g
				}
			}
			sp := spot{status: st, info: info, firstNew: pipe.XRangeN(ctx, stream, "("+info.LastDeliveredID, "+", 1)}
			if info.Pending > 0 {
				sp.firstPend = pipe.XPending(ctx, stream, group)
			}
			if info.Name == "" {
				sp.length = pipe.XLen(ctx, stream)
			}
			spots = append(spots, sp)
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

// Leases returns the leases of a group's members, by partition and member. A
// lease that differs at two looks more than 6 s apart belongs to a member that is
// alive: it raises it every 3 s.
func (b *Bus) Leases(ctx context.Context, group string) (map[string]string, error) {
	leases := make(map[string]string)
	for part := range b.names.Parts() {
		got, err := b.rdb.HGetAll(ctx, b.names.Members(group, part)).Result()
		if err != nil {
			return nil, fmt.Errorf("leases of %s: %w", group, err)
		}
		for member, lease := range got {
			leases[fmt.Sprintf("%d/%s", part, member)] = lease
		}
	}
	return leases, nil
}
