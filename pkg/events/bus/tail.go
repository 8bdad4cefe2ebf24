package bus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// Tail shows every event of the types to fn, outside of any group, until ctx ends
// or fn returns an error: for what each process must see for itself. It starts
// behind from: "$" is now, "0" the oldest entry kept, else an entry id. What is no
// event is passed over. Trouble with Redis is waited out; what was trimmed
// meanwhile is not seen. fn is never called twice at the same time.
func (b *Bus) Tail(ctx context.Context, types []events.Type, from string, fn func(Message) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var one sync.Mutex
	var readers sync.WaitGroup
	for part := range b.names.Parts() {
		readers.Go(func() {
			err := b.tailPart(ctx, part, types, from, func(m Message) error {
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

func (b *Bus) tailPart(ctx context.Context, part int, types []events.Type, from string, fn func(Message) error) error {
	down := condition{log: b.log, bad: "Redis does not answer; waiting", good: "Redis answers again"}
	streams := make([]string, len(types))
	last := make([]string, len(types))
	index := make(map[string]int, len(types))
	for i, t := range types {
		streams[i], last[i] = b.names.Stream(t, part), from
		index[streams[i]] = i
	}
	ready := from != "$"
	for attempt := 1; ctx.Err() == nil; attempt++ {
		var err error
		var found []redis.XStream
		if !ready {
			err = b.latest(ctx, streams, last)
			ready = err == nil
		} else {
			found, err = b.reader.XRead(ctx, &redis.XReadArgs{Streams: append(append([]string(nil), streams...), last...), Count: 256, Block: blockTime}).Result()
		}
		if err != nil && !errors.Is(err, redis.Nil) {
			if ctx.Err() == nil {
				down.set(part, err)
			}
			pause(ctx, backoff(attempt, 20*time.Millisecond, time.Second, jitter))
			continue
		}
		down.set(part, nil)
		attempt = 0
		var ds []*delivery
		for _, s := range found {
			for _, m := range s.Messages {
				last[index[s.Stream]] = m.ID
				if more, err := parse(entry{stream: s.Stream, id: m.ID, values: m.Values}); err == nil {
					ds = append(ds, more...)
				}
			}
		}
		merge(ds)
		for _, d := range ds {
			d.Attempt = 1
			if err := fn(d.Message); err != nil {
				return err
			}
		}
	}
	return nil
}

// latest replaces "$" by ids, so that nothing falls between two reads.
func (b *Bus) latest(ctx context.Context, streams, last []string) error {
	pipe := b.rdb.Pipeline()
	cmds := make([]*redis.XMessageSliceCmd, len(streams))
	for i, s := range streams {
		cmds[i] = pipe.XRevRangeN(ctx, s, "+", "-", 1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for i, c := range cmds {
		last[i] = "0-0"
		if m := c.Val(); len(m) > 0 {
			last[i] = m[0].ID
		}
	}
	return nil
}
