// Package record reads what was published of a workflow and what each of the four consumers made of
// it, and tells where they differ. The demo and the end-to-end tests judge by it.
package record

import (
	"context"
	"fmt"
	"slices"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

// Published is every event of the workflow in Redis, in the order of the streams' entry ids; those that
// others added by plain XADD included.
func Published(ctx context.Context, b *bus.Bus, workflowID string) ([]events.Event, error) {
	var list []entry
	names := b.Names()
	for _, spec := range events.Catalogue() {
		stream := names.Stream(spec.Type, names.Partition(workflowID))
		found, err := b.Client().XRange(ctx, stream, "-", "+").Result()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", stream, err)
		}
		for _, m := range found {
			// What is no event belongs to no workflow.
			found, _ := consumer.Messages(stream, m)
			for _, f := range found {
				if f.Event.WorkflowID == workflowID {
					list = append(list, newEntry(m.ID, f))
				}
			}
		}
	}
	slices.SortStableFunc(list, entry.compare)
	published := make([]events.Event, len(list))
	for i, e := range list {
		published[i] = e.Event
	}
	return published, nil
}

// entry is an event with its place in Redis.
type entry struct {
	consumer.Message
	ms, n uint64
}

func newEntry(id string, m consumer.Message) entry {
	out := entry{Message: m}
	_, _ = fmt.Sscanf(id, "%d-%d", &out.ms, &out.n) // Redis' own format
	return out
}

func (e entry) compare(o entry) int {
	if e.ms != o.ms {
		return int(int64(e.ms) - int64(o.ms)) //nolint:gosec // milliseconds of this millennium
	}
	return int(int64(e.n) - int64(o.n)) //nolint:gosec // entries of one millisecond
}

// Stored are those of the events that db-writer stores: its group's types in the design.
func Stored(list []events.Event) ([]events.Event, error) {
	types, err := events.Match("workflow.*", "*.completed", "*.confirmed", "*.failed")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(list), func(e events.Event) bool { return !slices.Contains(types, e.Type) }), nil
}
