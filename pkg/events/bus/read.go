package bus

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// read fills the lanes from one partition: first what is pending under the
// member's own name, then new entries.
func (t *tenure) read(ctx context.Context, part int) {
	streams := t.streams(part)
	latest := make([]string, len(streams))
	for i := range latest {
		latest[i] = ">"
	}
	args := &redis.XReadGroupArgs{Group: t.sub.Group, Consumer: t.bus.cfg.Member,
		Streams: append(streams, latest...), Block: blockTime}

	owned := false
	perEntry := float64(t.bus.cfg.EventsPerEntry) // events, of late; COUNT is of entries
	for attempt := 1; ctx.Err() == nil; attempt++ {
		if !t.gate.awaitOpen(ctx) {
			return
		}
		room := t.hand.awaitRoom(ctx)
		if room == 0 {
			return
		}
		var err error
		if !owned {
			err = t.look.takeOwn(ctx, part)
			owned = err == nil
		} else {
			args.Count = perStream(int(float64(room)/perEntry), len(streams))
			began := time.Now()
			var entries, n int
			if entries, n, err = t.readOnce(ctx, part, args); n > 0 {
				perEntry = (3*perEntry + float64(n)/float64(entries)) / 4
				if n < fullRead {
					pause(ctx, t.sub.Gather-time.Since(began)) // the next ones come together
				}
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && lostGroup(err) {
			err = t.recreate(ctx, part)
		}
		if t.redisDown.set(part, err); err == nil {
			attempt = 0
			continue
		}
		t.bus.follow(ctx)
		pause(ctx, backoff(attempt, 20*time.Millisecond, time.Second, jitter))
	}
}

// lostGroup: the group or a whole stream is gone; UNBLOCKED is how Redis 7.0 tells
// a reader that was waiting for it.
func lostGroup(err error) bool {
	return strings.HasPrefix(err.Error(), "NOGROUP") || strings.HasPrefix(err.Error(), "UNBLOCKED")
}

// perStream turns room into COUNT, which Redis applies to each stream. When all
// streams are busy a read brings more than there is room for, bounded; a quarter
// each keeps that rare and one busy stream fast.
func perStream(room, streams int) int64 {
	return int64(max(1, min(256, room/min(streams, 4))))
}

// readOnce is one XREADGROUP, and says how many entries and events it brought. It does not end with ctx: a reply
// that nobody reads would leave its entries stranded.
func (t *tenure) readOnce(ctx context.Context, part int, args *redis.XReadGroupArgs) (entries, n int, err error) {
	found, err := t.bus.reader.XReadGroup(context.WithoutCancel(ctx), args).Result()
	if err != nil {
		if errors.Is(err, redis.Nil) {
			return 0, 0, nil
		}
		return 0, 0, err
	}
	var raw []entry
	for _, s := range found {
		for _, m := range s.Messages {
			raw = append(raw, entry{stream: s.Stream, id: m.ID, values: m.Values})
		}
	}
	return len(raw), t.accept(part, raw), nil
}
