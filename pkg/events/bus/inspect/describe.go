package inspect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events/bus/internal/wire"
)

// GroupDescription is what a group has in Redis: what [Inspector.RemoveGroup] removes.
type GroupDescription struct {
	Group       string           `json:"group"`
	Streams     []StreamPosition `json:"streams"`      // those it is on, also of types it reads no more
	Members     []string         `json:"members"`      // with a lease or entries in hand, living or dead
	DeadLetters int64            `json:"dead_letters"` // waiting for an operator
}

// StreamPosition is how far a group is on one stream.
type StreamPosition struct {
	Stream  string `json:"stream"`
	Lag     int64  `json:"lag"`
	Pending int64  `json:"pending"`
}

// Describe tells what a group has in Redis; [ErrNotFound], with the names of the
// groups there are, when it has nothing.
func (i *Inspector) Describe(ctx context.Context, group string) (GroupDescription, error) {
	h := GroupDescription{Group: group}
	found, others, members := false, make(map[string]bool), make(map[string]bool)
	for part := range i.conn.Names.Parts() {
		here, err := i.describePart(ctx, part, &h, others, members)
		if err != nil {
			return GroupDescription{}, fmt.Errorf("describe %s: %w", group, err)
		}
		found = found || here
	}
	if !found {
		there := "there is none"
		if len(others) > 0 {
			there = "there are: " + strings.Join(slices.Sorted(maps.Keys(others)), ", ")
		}
		return GroupDescription{}, fmt.Errorf("there is no group %q; %s: %w", group, there, ErrNotFound)
	}
	h.Members = slices.Sorted(maps.Keys(members))
	return h, nil
}

// describePart adds those of one partition; found means that there are any.
func (i *Inspector) describePart(ctx context.Context, part int, h *GroupDescription, others, members map[string]bool) (found bool, err error) {
	streams := i.conn.GroupStreams(h.Group, part)
	pipe := i.conn.Redis.Pipeline()
	registered := pipe.HKeys(ctx, i.conn.Names.Groups(part))
	leases := pipe.HKeys(ctx, i.conn.Names.Members(h.Group, part))
	letters := pipe.XLen(ctx, i.conn.Names.DeadLetters(h.Group, part))
	infos := make([]*redis.XInfoGroupsCmd, len(streams))
	for n, stream := range streams {
		infos[n] = pipe.XInfoGroups(ctx, stream)
	}
	if _, err := pipe.Exec(ctx); err != nil && wire.Transient(err) {
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

	pipe = i.conn.Redis.Pipeline()
	var positions []position
	var status []*GroupStatus
	var consumers []*redis.XInfoConsumersCmd
	for n, stream := range streams {
		on := false
		for _, g := range infos[n].Val() {
			others[g.Name] = true
			on = on || g.Name == h.Group
		}
		if !on {
			continue
		}
		found = true
		st := &GroupStatus{Group: stream}
		status = append(status, st)
		positions = append(positions, newPosition(ctx, pipe, stream, h.Group, infos[n].Val(), st))
		consumers = append(consumers, pipe.XInfoConsumers(ctx, stream, h.Group))
	}
	if len(positions) == 0 {
		return found, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && wire.Transient(err) {
		return false, err
	}
	for n, s := range positions {
		s.add(time.Time{})
		h.Streams = append(h.Streams, StreamPosition{status[n].Group, status[n].Lag, status[n].Pending})
		for _, c := range consumers[n].Val() {
			members[c.Name] = true
		}
	}
	return found, nil
}
