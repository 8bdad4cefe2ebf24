package bus

import (
	"fmt"

	"agentbus/pkg/events"
)

// item is one event on its way to Redis, encoded.
type item struct {
	part         int
	typ          events.Type
	id, workflow string
	data         []byte
}

// encode makes the wire form of events and checks it as every reader will: what is
// taken here is an event to all of them.
func encode(names events.Naming, evs []events.Event) ([]item, error) {
	items := make([]item, len(evs))
	for i, e := range evs {
		data, err := encodeOne(e)
		if err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(evs), err)
		}
		items[i] = item{part: names.Partition(e.WorkflowID), typ: e.Type, id: e.ID, workflow: e.WorkflowID, data: data}
	}
	return items, nil
}

func encodeOne(e events.Event) ([]byte, error) {
	if err := e.Validate(); err != nil { // before it is encoded: it names the field that is missing
		return nil, err
	}
	data, err := e.MarshalJSON()
	if err != nil {
		return nil, err
	}
	if _, err := events.Decode(data); err != nil {
		return nil, err
	}
	return data, nil
}
