package bus

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// join registers the group, makes it where it is missing, and takes the lease;
// false means that ctx ended first.
func (t *tenure) join(ctx context.Context) bool {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := t.register(ctx)
		if err == nil {
			_, err = t.ensureGroups(ctx)
		}
		if err == nil {
			err = t.lease.take(ctx)
		}
		if t.redisDown.set(err); err == nil {
			return true
		}
		pause(ctx, backoff(attempt, 50*time.Millisecond, 2*time.Second, jitter))
	}
	return false
}

// register tells housekeeping that this group wants to see these types.
func (t *tenure) register(ctx context.Context) error {
	names := make([]string, len(t.sub.Types))
	for i, typ := range t.sub.Types {
		names[i] = string(typ)
	}
	slices.Sort(names)
	pipe := t.bus.rdb.Pipeline()
	for part := range t.names.Parts() {
		pipe.HSet(ctx, t.names.Groups(part), t.sub.Group, strings.Join(names, " "))
	}
	_, err := pipe.Exec(ctx)
	return err
}

// ensureGroups makes the group on every stream where it is missing, reading from
// the oldest entry, and reports how many it made.
func (t *tenure) ensureGroups(ctx context.Context) (made int, err error) {
	pipe := t.bus.rdb.Pipeline()
	var cmds []*redis.StatusCmd
	for part := range t.names.Parts() {
		for _, stream := range t.streams(part) {
			cmds = append(cmds, pipe.XGroupCreateMkStream(ctx, stream, t.sub.Group, "0"))
		}
	}
	_, _ = pipe.Exec(ctx) // each command's own error is looked at below
	for _, c := range cmds {
		switch {
		case c.Err() == nil:
			made++
		case !strings.HasPrefix(c.Err().Error(), "BUSYGROUP"):
			return made, fmt.Errorf("make group %s: %w", t.sub.Group, c.Err())
		}
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
func (t *tenure) recreate(ctx context.Context) error {
	made, err := t.ensureGroups(ctx)
	if err == nil && made > 0 {
		t.recreated.Inc()
		t.log.Warn().Int("streams", made).Msg("the group was missing in Redis and was made again, reading from the oldest entry")
		err = t.register(ctx)
	}
	return err
}
