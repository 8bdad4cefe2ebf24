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

// Holdings are what a group has in Redis: what [Bus.RemoveGroup] removes.
type Holdings struct {
	Group       string          `json:"group"`
	Streams     []StreamHolding `json:"streams"`      // those it is on, also of types it reads no more
	Members     []string        `json:"members"`      // with a lease or entries in hand, living or dead
	DeadLetters int64           `json:"dead_letters"` // waiting for an operator
}

// StreamHolding is how far a group is on one stream.
type StreamHolding struct {
	Stream  string `json:"stream"`
	Lag     int64  `json:"lag"`
	Pending int64  `json:"pending"`
}

// Holdings tells what a group has in Redis; [ErrNotFound], with the names of the
// groups there are, when it has nothing.
func (b *Bus) Holdings(ctx context.Context, group string) (Holdings, error) {
	h := Holdings{Group: group}
	found, others, members := false, make(map[string]bool), make(map[string]bool)
	for part := range b.names.Parts() {
		here, err := b.holdingsIn(ctx, part, &h, others, members)
		if err != nil {
			return Holdings{}, fmt.Errorf("holdings of %s: %w", group, err)
		}
		found = found || here
	}
	if !found {
		there := "there is none"
		if len(others) > 0 {
			there = "there are: " + strings.Join(slices.Sorted(maps.Keys(others)), ", ")
		}
		return Holdings{}, fmt.Errorf("there is no group %q; %s: %w", group, there, ErrNotFound)
	}
	h.Members = slices.Sorted(maps.Keys(members))
	return h, nil
}

// allStreams are what a group may be on in one partition: those of all types, since
// it may have read others once, and its replays.
func (b *Bus) allStreams(group string, part int) []string {
	var streams []string
	for _, spec := range events.Catalogue() {
		streams = append(streams, b.names.Stream(spec.Type, part))
	}
	return append(streams, b.names.Replays(group, part))
}

// holdingsIn adds those of one partition; found means that there are any.
func (b *Bus) holdingsIn(ctx context.Context, part int, h *Holdings, others, members map[string]bool) (found bool, err error) {
	streams := b.allStreams(h.Group, part)
	pipe := b.rdb.Pipeline()
	registered := pipe.HKeys(ctx, b.names.Groups(part))
	leases := pipe.HKeys(ctx, b.names.Members(h.Group, part))
	letters := pipe.XLen(ctx, b.names.DeadLetters(h.Group, part))
	infos := make([]*redis.XInfoGroupsCmd, len(streams))
	for i, stream := range streams {
		infos[i] = pipe.XInfoGroups(ctx, stream)
	}
	if _, err := pipe.Exec(ctx); err != nil && transient(err) {
		return false, err // a stream that does not exist is no error here
	}
	if err := errors.Join(registered.Err(), leases.Err(), letters.Err()); err != nil {
		return false, err
	}
	for _, name := range registered.Val() {
		others[name] = true
	}
	for _, name := range leases.Val() {
		members[name] = true
	}
	h.DeadLetters += letters.Val()
	found = slices.Contains(registered.Val(), h.Group) || len(leases.Val()) > 0 || letters.Val() > 0

	pipe = b.rdb.Pipeline()
	var spots []spot
	var status []*GroupStatus
	var consumers []*redis.XInfoConsumersCmd
	for i, stream := range streams {
		on := false
		for _, g := range infos[i].Val() {
			others[g.Name] = true
			on = on || g.Name == h.Group
		}
		if !on {
			continue
		}
		found = true
		st := &GroupStatus{Group: stream}
		status = append(status, st)
		spots = append(spots, newSpot(ctx, pipe, stream, h.Group, infos[i].Val(), st))
		consumers = append(consumers, pipe.XInfoConsumers(ctx, stream, h.Group))
	}
	if len(spots) == 0 {
		return found, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && transient(err) {
		return false, err
	}
	for i, s := range spots {
		s.add(time.Time{})
		h.Streams = append(h.Streams, StreamHolding{status[i].Group, status[i].Lag, status[i].Pending})
		for _, c := range consumers[i].Val() {
			members[c.Name] = true
		}
	}
	return found, nil
}
