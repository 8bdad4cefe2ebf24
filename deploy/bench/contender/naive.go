package contender

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/deploy/bench/workload"
	"agentbus/pkg/events"
)

// naive is what a first program over go-redis looks like: one XADD a call, ten entries a read, each decoded
// by encoding/json, one XACK an event.
type naive struct {
	rdb     *redis.Client
	readers sync.WaitGroup
	stop    context.CancelFunc
}

// Naive starts it.
func Naive(ctx context.Context, s Setup) (Contender, error) {
	streams, err := redisGroups(ctx, s)
	if err != nil {
		return nil, err
	}
	rdb, err := redisClient(s.URL)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	n := &naive{rdb: rdb, stop: stop}
	for g := range s.Groups {
		n.readers.Go(func() { n.read(running, streams, g, s.Handled) })
	}
	return n, nil
}

func (n *naive) Publish(ctx context.Context, batch []workload.Event) error {
	for _, e := range batch {
		if err := n.rdb.XAdd(ctx, &redis.XAddArgs{Stream: stream(e.Event.Type), Values: []any{"data", e.JSON()}}).Err(); err != nil {
			return err
		}
	}
	return nil
}

func (n *naive) read(ctx context.Context, streams []string, group int, handled func(group, n int)) {
	args := readArgs(streams, group, 10)
	for ctx.Err() == nil {
		found, err := n.rdb.XReadGroup(context.WithoutCancel(ctx), args).Result()
		if err != nil {
			continue // nothing new, or the end
		}
		for _, f := range found {
			for _, m := range f.Messages {
				var e struct {
					ID         string
					Type       events.Type
					WorkflowID string `json:"workflow_id"`
					Timestamp  time.Time
					Data       json.RawMessage
				}
				data, _ := m.Values["data"].(string)
				if json.Unmarshal([]byte(data), &e) == nil {
					handled(group, workload.Number(e.ID))
				}
				_ = n.rdb.XAck(context.WithoutCancel(ctx), f.Stream, args.Group, m.ID).Err() // it is naive
			}
		}
	}
}

func (n *naive) Close() error {
	n.stop()
	n.readers.Wait()
	return n.rdb.Close()
}
