package bus

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// join registers the group, makes it where it is missing, and takes the lease,
// also over one an earlier process of this name left; false means that ctx ended
// first.
func (t *tenure) join(ctx context.Context) bool {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		var err error
		for part := 0; part < t.names.Parts() && err == nil; part++ {
			_, err = t.enter(ctx, part, t.lease.value())
		}
		if t.redisDown.set(0, err); err == nil {
			return true
		}
		pause(ctx, backoff(attempt, 50*time.Millisecond, 2*time.Second, jitter))
	}
	return false
}

// enter sees to it that the group is registered and on every stream of a
// partition, takes the lease unless it is empty, and tells on how many streams
// the group was missing.
func (t *tenure) enter(ctx context.Context, part int, lease string) (made int, err error) {
	names := make([]string, len(t.sub.Types))
	for i, typ := range t.sub.Types {
		names[i] = string(typ)
	}
	slices.Sort(names)
	keys := append([]string{t.names.Groups(part), t.names.Members(t.sub.Group, part)}, t.streams(part)...)
	made, err = joinScript.Run(ctx, t.bus.rdb, keys, t.sub.Group, strings.Join(names, " "), t.bus.cfg.Member, lease).Int()
	if err != nil {
		return 0, fmt.Errorf("join group %s: %w", t.sub.Group, err)
	}
	return made, nil
}

// streams are what the group reads in one partition: its types', and its replays.
func (t *tenure) streams(part int) []string {
	keys := make([]string, 0, len(t.sub.Types)+1)
	for _, typ := range t.sub.Types {
		keys = append(keys, t.names.Stream(typ, part))
	}
	return append(keys, t.names.Replays(t.sub.Group, part))
}

// recreate makes a lost group again and says so once.
func (t *tenure) recreate(ctx context.Context, part int) error {
	made, err := t.enter(ctx, part, "")
	if err == nil && made > 0 {
		t.recreated.Inc()
		t.log.Warn().Int("partition", part).Int("streams", made).Msg("the group was missing in Redis and was made again, reading from the oldest entry")
	}
	return err
}
