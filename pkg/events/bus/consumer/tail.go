package consumer

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/internal/wire"
)

// Tailing says what [Tail] shows.
type Tailing struct {
	Types []events.Type
	From  string // "$" is now (default), "0" the oldest entry kept, else behind an entry id; see [After]
}

// Tail shows every event of the types to fn, outside of any group, until ctx ends
// or fn returns an error: for what each process must see for itself. What is no
// event is passed over. Trouble with Redis is waited out; what was trimmed
// meanwhile is not seen. fn is never called twice at the same time.
func Tail(ctx context.Context, b *bus.Bus, what Tailing, fn func(Message) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var one sync.Mutex
	var readers sync.WaitGroup
	for part := range b.Names().Parts() {
		readers.Go(func() {
			err := newTailer(b.Wire(), part, what).run(ctx, func(m Message) error {
				one.Lock()
				defer one.Unlock()
				return fn(m)
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	readers.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// tailer tails one partition.
type tailer struct {
	conn    *wire.Conn
	part    int
	streams []string
	behind  []string // by stream: the last entry seen; "$" until its id is known
}

func newTailer(conn *wire.Conn, part int, what Tailing) *tailer {
	t := &tailer{conn: conn, part: part}
	for _, typ := range what.Types {
		t.streams, t.behind = append(t.streams, conn.Names.Stream(typ, part)), append(t.behind, cmp.Or(what.From, "$"))
	}
	return t
}

func (t *tailer) run(ctx context.Context, fn func(Message) error) error {
	down := wire.Condition{Log: t.conn.Log, Bad: "Redis does not answer; waiting", Good: "Redis answers again"}
	for attempt := 1; ctx.Err() == nil; attempt++ {
		ds, err := t.read(ctx)
		if err != nil {
			if ctx.Err() == nil {
				down.Set(t.part, err)
			}
			wire.Pause(ctx, wire.Backoff(attempt, 20*time.Millisecond, time.Second, wire.Jitter))
			continue
		}
		down.Set(t.part, nil)
		attempt = 0
		for _, d := range ds {
			d.Attempt = 1
			if err := fn(d.Message); err != nil {
				return err
			}
		}
	}
	return nil
}

// read returns what has come since, in order.
func (t *tailer) read(ctx context.Context) ([]*delivery, error) {
	if slices.Contains(t.behind, "$") {
		if err := t.latest(ctx); err != nil {
			return nil, err
		}
	}
	found, err := t.conn.Blocking.XRead(ctx, &redis.XReadArgs{Streams: slices.Concat(t.streams, t.behind), Count: 256, Block: wire.BlockTime}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	var ds []*delivery
	for _, s := range found {
		at := slices.Index(t.streams, s.Stream)
		for _, m := range s.Messages {
			t.behind[at] = m.ID
			if more, err := decode(wire.NewEntry(s.Stream, m), new(delivery)); err == nil {
				ds = append(ds, more...)
			}
		}
	}
	merge(ds)
	return ds, nil
}

// latest replaces "$" by ids, so that nothing falls between two reads.
func (t *tailer) latest(ctx context.Context) error {
	pipe := t.conn.Redis.Pipeline()
	cmds := make([]*redis.XMessageSliceCmd, len(t.streams))
	for i, s := range t.streams {
		cmds[i] = pipe.XRevRangeN(ctx, s, "+", "-", 1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for i, c := range cmds {
		if t.behind[i] != "$" {
			continue
		}
		t.behind[i] = "0-0"
		if m := c.Val(); len(m) > 0 {
			t.behind[i] = m[0].ID
		}
	}
	return nil
}
