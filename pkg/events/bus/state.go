package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// Change is a compare-and-set on one state key, made by [Bus.Commit] together
// with the events that announce it. Key and Index keys must be of the events'
// workflow (see [events.Naming]), so that they share its slot.
type Change struct {
	Key   string
	Rev   int64         // the revision it is based on; 0: the key must not exist
	Doc   []byte        // the new state; nil deletes it
	TTL   time.Duration // how long the state is kept; 0: for ever
	Index []IndexUpdate
}

// IndexUpdate moves a member of a sorted set along with the state.
type IndexUpdate struct {
	Key, Member string
	Score       float64
	Remove      bool
}

// State is what [Bus.Load] found. Rev 0 means the key does not exist.
type State struct {
	Rev int64
	Doc []byte
}

// Commit changes a state and publishes the events that tell of it (at least one,
// all of one workflow), both or neither. It returns [ErrConflict] when the
// state's revision is not c.Rev. Failures are tried again as in [Bus.Publish]; a
// repeat of a commit that had succeeded returns its receipts, since its first
// event's id is known.
func (b *Bus) Commit(ctx context.Context, c Change, evs ...events.Event) ([]Receipt, error) {
	if len(evs) == 0 || len(evs) > wire.MaxBatch {
		return nil, fmt.Errorf("commit: has %d events; 1 to %d", len(evs), wire.MaxBatch)
	}
	for _, e := range evs {
		if e.WorkflowID != evs[0].WorkflowID {
			return nil, fmt.Errorf("commit: events of workflows %s and %s; all must be of one", evs[0].WorkflowID, e.WorkflowID)
		}
	}
	items, err := encode(b.conn.Names, evs)
	if err != nil {
		return nil, err
	}
	receipts, index := make([]Receipt, len(items)), make([]int, len(items))
	for i := range index {
		index[i] = i
	}
	if err := b.admitter.admitPart(ctx, items, index, c.wire(), receipts); err != nil {
		return nil, err
	}
	return receipts, nil
}

// wire is the change as the script takes it.
func (c Change) wire() *wire.Change {
	out := &wire.Change{Key: c.Key, Rev: c.Rev, Doc: c.Doc, TTLms: c.TTL.Milliseconds()}
	for _, u := range c.Index {
		out.Index = append(out.Index, wire.IndexUpdate(u))
	}
	return out
}

// Load reads a state that [Bus.Commit] wrote.
func (b *Bus) Load(ctx context.Context, key string) (State, error) {
	states, err := b.LoadAll(ctx, key)
	if err != nil {
		return State{}, err
	}
	return states[0], nil
}

// LoadAll reads several states in one round trip (per node), in order of the keys.
func (b *Bus) LoadAll(ctx context.Context, keys ...string) ([]State, error) {
	pipe := b.conn.Redis.Pipeline()
	cmds := make([]*redis.SliceCmd, len(keys))
	for i, k := range keys {
		cmds[i] = pipe.HMGet(ctx, k, "rev", "doc")
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("load: %w", err)
	}
	states := make([]State, len(keys))
	for i, cmd := range cmds {
		v := cmd.Val()
		if len(v) != 2 || v[0] == nil {
			continue
		}
		rev, _ := v[0].(string)
		doc, _ := v[1].(string)
		n, err := strconv.ParseInt(rev, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("load: %s has revision %q", keys[i], rev)
		}
		states[i] = State{Rev: n, Doc: []byte(doc)}
	}
	return states, nil
}
