package bus

import (
	"context"
	"fmt"
	"slices"
	"time"
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
func (b *Bus) RemoveGroup(ctx context.Context, group string, withLetters bool) error {
	h, err := b.Holdings(ctx, group)
	if err != nil {
		return err
	}
	if h.DeadLetters > 0 && !withLetters { // before the wait; the script looks again
		return lettersLeft(group, h.DeadLetters)
	}
	leases, err := b.awaitDead(ctx, group)
	if err != nil {
		return err
	}
	for part := range b.names.Parts() {
		if err := b.removeFrom(ctx, group, part, withLetters, leases[part]); err != nil {
			return err
		}
	}
	b.log.Warn().Str("group", group).Int("streams", len(h.Streams)).Int64("dead_letters", h.DeadLetters).Msg("a consumer group was removed")
	return nil
}

// awaitDead watches the group's leases until they have stood still for as long as
// other members would wait, and returns them by partition. Whoever comes or moves
// meanwhile is alive.
func (b *Bus) awaitDead(ctx context.Context, group string) ([]map[string]string, error) {
	var watch census
	var first map[string]sign
	for {
		leases := make([]map[string]string, b.names.Parts())
		all := make(map[string]string)
		for part := range leases {
			got, err := b.rdb.HGetAll(ctx, b.names.Members(group, part)).Result()
			if err != nil {
				return nil, fmt.Errorf("leases of %s: %w", group, err)
			}
			leases[part] = got
			keepLeases(all, part, got)
		}
		signs := watch.look(time.Now(), map[string]map[string]string{group: all})[group]
		if first == nil {
			first = signs
		}
		dead := true
		for member, s := range signs {
			if _, was := first[member]; s.moved || !was {
				return nil, memberLives(group, member)
			}
			dead = dead && s.still >= b.rhythm.deadAfter()
		}
		if dead {
			return leases, nil
		}
		if pause(ctx, b.rhythm.beat/6); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// removeFrom removes the group from one partition, whole or not at all.
func (b *Bus) removeFrom(ctx context.Context, group string, part int, withLetters bool, dead map[string]string) error {
	keys := slices.Concat([]string{b.names.Groups(part), b.names.Members(group, part), b.names.Replays(group, part), b.names.DeadLetters(group, part)},
		b.allStreams(group, part))
	args := []any{group, 0}
	if withLetters {
		args[1] = 1
	}
	for member, lease := range dead {
		args = append(args, member, lease)
	}
	reply, err := removeScript.Run(ctx, b.rdb, keys, args...).Slice()
	switch {
	case err != nil:
		return fmt.Errorf("remove group %s from partition %d: %w", group, part, err)
	case len(reply) == 0:
		return nil
	case reply[0] == "letters":
		n, _ := reply[1].(int64)
		return lettersLeft(group, n)
	}
	member, _ := reply[1].(string)
	return memberLives(group, member)
}

func memberLives(group, member string) error {
	return fmt.Errorf("member %s of %s lives; stop it first: %w", member, group, ErrInUse)
}

func lettersLeft(group string, n int64) error {
	return fmt.Errorf("%s has %d dead letters; replay or drop them first, or have them deleted too: %w", group, n, ErrInUse)
}
