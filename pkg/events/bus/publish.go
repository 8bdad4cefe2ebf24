package bus

import (
	"context"
	"fmt"

	"agentbus/pkg/events"
)

// Receipt says where an event stands. A Duplicate was added by an earlier call.
// Events that were admitted together may share an entry.
type Receipt struct {
	Stream    string
	EntryID   string // "<ms>-<n>", by the Redis server's clock
	Seq       int64  // number in its workflow, from 1
	Duplicate bool
}

// maxBatch bounds the events of one script call: about 1 ms of the server's time.
const maxBatch = 256

// Publish adds events, each once, and returns when Redis has them, one receipt
// per event in order. Calls running at the same time share round trips.
// Transient failures (connection, LOADING, OOM, ...) are tried again with the
// same event ids for up to 30 s or until ctx ends; an error then means that the
// outcome is unknown, and publishing the same events again within the dedup
// window is safe. Invalid events are a [events.FieldError] and nothing is added.
func (b *Bus) Publish(ctx context.Context, evs ...events.Event) ([]Receipt, error) {
	if len(evs) == 0 {
		return nil, nil
	}
	items, err := b.encode(evs)
	if err != nil {
		return nil, err
	}
	return b.publishers[b.classes.of(items)].publish(ctx, items)
}

// item is one event on its way, encoded.
type item struct {
	part         int
	typ          events.Type
	id, workflow string
	data         []byte
}

func (b *Bus) encode(evs []events.Event) ([]item, error) {
	items := make([]item, len(evs))
	for i, e := range evs {
		if err := e.Validate(); err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(evs), err)
		}
		data, err := e.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(evs), err)
		}
		if len(data) > events.MaxEventBytes {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(evs),
				&events.FieldError{Problem: fmt.Sprintf("has %d bytes; at most %d", len(data), events.MaxEventBytes)})
		}
		part := b.names.Partition(e.WorkflowID)
		items[i] = item{part: part, typ: e.Type, id: e.ID, workflow: e.WorkflowID, data: data}
	}
	return items, nil
}
