package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// registered are the groups that want to see every event of these types.
func registered(ctx context.Context, b *bus.Bus) (map[string][]events.Type, error) {
	out := map[string][]events.Type{}
	for part := range b.Names().Parts() {
		found, err := b.Client().HGetAll(ctx, b.Names().Groups(part)).Result()
		if err != nil {
			return nil, fmt.Errorf("groups: %w", err)
		}
		for group, types := range found {
			for _, t := range strings.Fields(types) {
				if !slices.Contains(out[group], events.Type(t)) {
					out[group] = append(out[group], events.Type(t))
				}
			}
		}
	}
	return out, nil
}

// position is how far a group is on one stream.
type position struct {
	there     bool   // the group exists on the stream
	delivered string // id of the last entry handed out
	pending   map[string]bool
}

// owes reports whether the group has still to deal with the entry.
func (p position) owes(entry string) bool {
	return !p.there || after(entry, p.delivered) || p.pending[entry]
}

func positionOf(ctx context.Context, rdb redis.UniversalClient, key, group string) (position, error) {
	p := position{pending: map[string]bool{}}
	groups, err := rdb.XInfoGroups(ctx, key).Result()
	if err != nil {
		if strings.HasPrefix(err.Error(), "ERR no such key") {
			return p, nil
		}
		return p, err
	}
	for _, g := range groups {
		if g.Name == group {
			p.there, p.delivered = true, g.LastDeliveredID
		}
	}
	for from := "-"; p.there; {
		found, err := rdb.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: key, Group: group, Start: from, End: "+", Count: page}).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return p, err
		}
		for _, entry := range found {
			p.pending[entry.ID] = true
		}
		if len(found) < page {
			break
		}
		from = "(" + found[len(found)-1].ID
	}
	return p, nil
}

// contentGone are the pending entries that do not stand in the stream any more:
// nobody can handle them. there are those that were seen.
func (p position) contentGone(ctx context.Context, rdb redis.UniversalClient, key string, there map[string]bool) ([]string, error) {
	var gone []string
	for id := range p.pending {
		if there[id] {
			continue
		}
		found, err := rdb.XRangeN(ctx, key, id, id, 1).Result()
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			gone = append(gone, id)
		}
	}
	return gone, nil
}

// replaying are the first places of events that came back to the group alone and are
// not dealt with yet: replayed dead letters, and what was taken out of its entry.
func replaying(ctx context.Context, b *bus.Bus, group string) (map[place]bool, error) {
	out := map[place]bool{}
	for part := range b.Names().Parts() {
		key := b.Names().Replays(group, part)
		p, err := positionOf(ctx, b.Client(), key, group)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		for from := "-"; ; {
			found, err := b.Client().XRangeN(ctx, key, from, "+", page).Result()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			for _, m := range found {
				at, _ := m.Values["stream"].(string)
				entry, _ := m.Values["entry"].(string)
				for _, e := range eventsOf(key, m) {
					if p.owes(m.ID) {
						out[place{at, entry, e.ID}] = true
					}
				}
			}
			if len(found) < page {
				break
			}
			from = "(" + found[len(found)-1].ID
		}
	}
	return out, nil
}

// after compares entry ids: milliseconds, then the number within.
func after(a, b string) bool {
	parse := func(id string) (ms, n uint64) {
		head, tail, _ := strings.Cut(id, "-")
		ms, _ = strconv.ParseUint(head, 10, 64) // Redis' own format
		n, _ = strconv.ParseUint(tail, 10, 64)
		return ms, n
	}
	ams, an := parse(a)
	bms, bn := parse(b)
	return ams > bms || ams == bms && an > bn
}

func sortedGroups(all map[string][]events.Type) []string { return slices.Sorted(maps.Keys(all)) }
