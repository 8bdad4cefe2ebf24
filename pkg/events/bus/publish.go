package bus

import (
	"context"

	"agentbus/pkg/events"
)

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
	items, err := encode(b.conn.Names, evs)
	if err != nil {
		return nil, err
	}
	return b.publishers[b.admitter.classOf(items)].publish(ctx, items)
}
