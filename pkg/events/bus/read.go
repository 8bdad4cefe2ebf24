package bus

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
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
			args.Count = perStream(room, len(streams))
			began := time.Now()
			var n int
			if n, err = t.readOnce(ctx, part, args); n > 0 && n < fullRead {
				pause(ctx, t.sub.Gather-time.Since(began)) // the next ones come together
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

// readOnce is one XREADGROUP, and says how many entries it brought. It does not end with ctx: a reply that nobody
// reads would leave its entries stranded.
func (t *tenure) readOnce(ctx context.Context, part int, args *redis.XReadGroupArgs) (int, error) {
	found, err := t.bus.reader.XReadGroup(context.WithoutCancel(ctx), args).Result()
	if err != nil {
		if errors.Is(err, redis.Nil) {
			return 0, nil
		}
		return 0, err
	}
	var raw []entry
	for _, s := range found {
		for _, m := range s.Messages {
			raw = append(raw, entry{stream: s.Stream, id: m.ID, values: m.Values})
		}
	}
	t.accept(part, raw)
	return len(raw), nil
}

// entry is what Redis holds, before it is known to be an event.
type entry struct {
	stream, id string
	values     map[string]any
	begun      int  // deliveries so far
	recovered  bool // pending before
}

// accept decodes entries and queues them. What is no event becomes a dead
// letter, after the others are on their way; what repeats an admitted event is
// acknowledged.
func (t *tenure) accept(part int, raw []entry) {
	good := make([]*delivery, 0, len(raw))
	var foreign []*delivery
	var malformed []letter
	for _, en := range raw {
		d := &delivery{part: part, begun: en.begun, recovered: en.recovered, ms: entryMS(en.id)}
		d.Stream, d.EntryID = en.stream, en.id
		d.origin = d.key()
		if from, ok := en.values["stream"].(string); ok && en.stream == t.names.Replays(t.sub.Group, part) {
			id, _ := en.values["entry"].(string)
			d.origin = entryKey{from, id}
		}
		data, ok := en.values["data"].(string)
		ev, whole, err := events.DecodeText(data)
		d.Raw = whole
		if !ok {
			err = &events.FieldError{Field: "data", Problem: "the entry has no such field; add the event with XADD " + en.stream + " * data '<json>'"}
		}
		if err == nil {
			err = t.matchesStream(ev, en.stream, part)
		}
		if err != nil {
			d.Event = ev
			if len(t.hand.add([]*delivery{d})) == 1 {
				malformed = append(malformed, letter{d, "malformed", err})
			}
			continue
		}
		d.Event = ev
		seq, _ := en.values["seq"].(string)
		if d.Seq, err = strconv.ParseInt(seq, 10, 64); err != nil || d.Seq < 1 {
			foreign = append(foreign, d)
		}
		good = append(good, d)
	}
	good = t.hand.add(good)
	if len(foreign) > 0 {
		good = t.adopt(good, part)
	}
	merge(good)
	t.bus.metrics.inHand.WithLabelValues(t.sub.Group).Set(float64(t.hand.len()))
	t.lanes.push(good...)
	for _, l := range malformed {
		t.bury(l.delivery, l.class, l.cause)
	}
}

// matchesStream refuses an event that stands in another type's or partition's
// stream: groups choose by stream, so it would reach the wrong ones.
func (t *tenure) matchesStream(ev events.Event, stream string, part int) error {
	if stream == t.names.Replays(t.sub.Group, part) {
		return nil
	}
	if want := t.names.Stream(ev.Type, t.names.Partition(ev.WorkflowID)); want != stream {
		return &events.FieldError{Field: "type", Problem: "the event belongs in stream " + want + ", it was added to " + stream}
	}
	return nil
}
