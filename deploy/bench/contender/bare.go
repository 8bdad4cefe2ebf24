package contender

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"agentbus/deploy/bench/workload"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// bare is the least a program over go-redis can do: what calls want added at the same time goes in one
// pipeline, each group reads as much as there is and acknowledges it in one pipeline, and nothing is decoded.
// No numbers, no deduplication, no retries, nobody takes over from the dead. It is the limit.
type bare struct {
	rdb     *redis.Client
	readers sync.WaitGroup
	stop    context.CancelFunc
	calls   chan bareCall
	adder   sync.WaitGroup
	noAck   bool
	admit   *bus.Bus // nil: plain XADD
}

type bareCall struct {
	batch []workload.Event
	done  chan error
}

// BareOptions vary the bare loop.
type BareOptions struct {
	NoAck bool // groups acknowledge nothing
	Admit bool // events are added by the bus's publisher, an entry each: they get numbers, and ids are known again
}

// Bare starts it.
func Bare(ctx context.Context, s Setup, o BareOptions) (Contender, error) {
	streams, err := redisGroups(ctx, s)
	if err != nil {
		return nil, err
	}
	rdb, err := redisClient(s.URL)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	b := &bare{rdb: rdb, stop: stop, calls: make(chan bareCall, workload.Publishers), noAck: o.NoAck}
	if o.Admit {
		if b.admit, err = bus.Open(ctx, bus.Config{URL: s.URL, EventsPerEntry: 1, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()}); err != nil {
			return nil, err
		}
	}
	for g := range s.Groups {
		b.readers.Go(func() { b.read(running, streams, g, s.Handled) })
	}
	b.adder.Go(b.add)
	return b, nil
}

func (b *bare) Publish(ctx context.Context, batch []workload.Event) error {
	if b.admit != nil {
		return publish(ctx, b.admit, batch)
	}
	call := bareCall{batch, make(chan error, 1)}
	b.calls <- call
	return <-call.done
}

// add sends what has gathered while the pipeline before was under way.
func (b *bare) add() {
	for call := range b.calls {
		calls := []bareCall{call}
		for more := true; more; {
			select {
			case c, open := <-b.calls:
				if more = open; open {
					calls = append(calls, c)
				}
			default:
				more = false
			}
		}
		ctx := context.Background()
		pipe := b.rdb.Pipeline()
		for _, c := range calls {
			for _, e := range c.batch {
				pipe.XAdd(ctx, &redis.XAddArgs{Stream: stream(e.Event.Type), Values: []any{"data", e.JSON()}})
			}
		}
		_, err := pipe.Exec(ctx)
		for _, c := range calls {
			c.done <- err
		}
	}
}

func (b *bare) read(ctx context.Context, streams []string, group int, handled func(group, n int)) {
	args := readArgs(streams, group, 256)
	args.NoAck = b.noAck
	for ctx.Err() == nil {
		found, err := b.rdb.XReadGroup(context.WithoutCancel(ctx), args).Result()
		if err != nil {
			continue // nothing new, or the end
		}
		pipe := b.rdb.Pipeline()
		for _, f := range found {
			ids := make([]string, len(f.Messages))
			for i, m := range f.Messages {
				ids[i] = m.ID
				data, _ := m.Values["data"].(string)
				handled(group, workload.NumberIn(data))
			}
			if !b.noAck {
				pipe.XAck(ctx, f.Stream, args.Group, ids...)
			}
		}
		_, _ = pipe.Exec(context.WithoutCancel(ctx)) // the limit looks after nothing
	}
}

func (b *bare) Close() error {
	b.stop()
	b.readers.Wait()
	close(b.calls)
	b.adder.Wait()
	if b.admit != nil {
		return errors.Join(b.admit.Close(), b.rdb.Close())
	}
	return b.rdb.Close()
}

func redisClient(url string) (*redis.Client, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	o.PoolSize = 64 // Watermill blocks one a topic
	return redis.NewClient(o), nil
}

// readArgs read what is new on all streams, most entries of each.
func readArgs(streams []string, group int, most int64) *redis.XReadGroupArgs {
	args := &redis.XReadGroupArgs{Group: groupName(group), Consumer: "only", Count: most, Block: 100 * time.Millisecond}
	args.Streams = append(args.Streams, streams...)
	for range streams {
		args.Streams = append(args.Streams, ">")
	}
	return args
}

func stream(t events.Type) string { return "events:" + string(t) }

// redisGroups makes the groups on the 20 streams.
func redisGroups(ctx context.Context, s Setup) ([]string, error) {
	rdb, err := redisClient(s.URL)
	if err != nil {
		return nil, err
	}
	var streams []string
	var errs []error
	for _, spec := range events.Catalogue() {
		streams = append(streams, stream(spec.Type))
		for g := range s.Groups {
			errs = append(errs, rdb.XGroupCreateMkStream(ctx, stream(spec.Type), groupName(g), "0").Err())
		}
	}
	return streams, errors.Join(append(errs, rdb.Close())...)
}
