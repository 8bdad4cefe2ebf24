package inspect

import (
	"context"
	"fmt"
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// RemoveGroup removes a group that nobody reads for any more: from every stream of
// every partition, with what is pending, its members' leases, its replays and its
// registration, so that it holds trimming back no longer. Dead letters are events
// somebody may still want: with any there it removes nothing, unless withLetters.
//
// It returns [ErrNotFound] when there is no such group and [ErrInUse] when a member
// lives. To know that none does takes as long as for the members themselves: 15 s
// when there are leases. A member that joins meanwhile either stops the removal or
// makes the group anew, from the oldest entry kept, on all its streams.
func (i *Inspector) RemoveGroup(ctx context.Context, group string, withLetters bool) error {
	h, err := i.Describe(ctx, group)
	if err != nil {
		return err
	}
	if h.DeadLetters > 0 && !withLetters { // before the wait; the script looks again
		return lettersLeft(group, h.DeadLetters)
	}
	leases, err := i.awaitDead(ctx, group)
	if err != nil {
		return err
	}
	for part := range i.conn.Names.Parts() {
		if err := i.removeFrom(ctx, group, part, withLetters, leases[part]); err != nil {
			return err
		}
	}
	i.conn.Log.Warn().Str("group", group).Int("streams", len(h.Streams)).Int64("dead_letters", h.DeadLetters).Msg("a consumer group was removed")
	return nil
}

// awaitDead watches the group's leases until they have stood still for as long as
// other members would wait, and returns them by partition. Whoever comes or moves
// meanwhile is alive.
func (i *Inspector) awaitDead(ctx context.Context, group string) ([]map[string]string, error) {
	var watch liveness
	var first map[string]lifeSign
	for {
		leases := make([]map[string]string, i.conn.Names.Parts())
		all := make(map[string]string)
		for part := range leases {
			got, err := i.conn.Redis.HGetAll(ctx, i.conn.Names.Members(group, part)).Result()
			if err != nil {
				return nil, fmt.Errorf("leases of %s: %w", group, err)
			}
			leases[part] = got
			wire.KeepLeases(all, part, got)
		}
		signs := watch.observe(time.Now(), map[string]map[string]string{group: all})[group]
		if first == nil {
			first = signs
		}
		dead := true
		for member, s := range signs {
			if _, was := first[member]; s.moved || !was {
				return nil, memberLives(group, member)
			}
			dead = dead && s.still >= i.conn.Intervals.DeadAfter()
		}
		if dead {
			return leases, nil
		}
		if wire.Pause(ctx, i.conn.Intervals.Heartbeat/6); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// removeFrom removes the group from one partition, whole or not at all.
func (i *Inspector) removeFrom(ctx context.Context, group string, part int, withLetters bool, dead map[string]string) error {
	why, err := i.conn.RemoveGroup(ctx, group, part, withLetters, dead)
	switch {
	case err != nil:
		return fmt.Errorf("remove group %s from partition %d: %w", group, part, err)
	case why == nil:
		return nil
	case why.Letters > 0:
		return lettersLeft(group, why.Letters)
	}
	return memberLives(group, why.Member)
}

func memberLives(group, member string) error {
	return fmt.Errorf("member %s of %s lives; stop it first: %w", member, group, ErrInUse)
}

func lettersLeft(group string, n int64) error {
	return fmt.Errorf("%s has %d dead letters; replay or drop them first, or have them deleted too: %w", group, n, ErrInUse)
}
