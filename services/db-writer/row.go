package main

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// row is one event on its way into the database.
type row struct {
	index    int // of the message in its batch
	id       uuid.UUID
	event    events.Event
	seq      int64
	extra    []byte          // JSON; nil is NULL
	workflow *workflowChange // what the event says of its workflow; nil: only that it was there
	stage    *stageResult    // nil unless the event ends a stage
}

// newRow reads what the event says. An error means that its payload is wrong: a *[events.FieldError].
func newRow(index int, m consumer.Message) (row, error) {
	id, err := uuid.Parse(m.Event.ID)
	if err != nil {
		return row{}, fmt.Errorf("field id: %w", err)
	}
	r := row{index: index, id: id, event: m.Event, seq: m.Seq}
	if len(m.Event.Extra) > 0 {
		if r.extra, err = json.Marshal(m.Event.Extra); err != nil {
			return row{}, fmt.Errorf("as JSON: %w", err)
		}
	}
	if r.workflow, err = changeOf(m.Event, m.Seq); err != nil {
		return row{}, err
	}
	r.stage, err = stageResultOf(m.Event)
	return r, err
}

// appendMetadata writes m as JSON, nothing when it is empty. Nearly each event has some, so it is written
// without reflection and without sorting.
func appendMetadata(out []byte, m map[string]string) []byte {
	if len(m) == 0 {
		return out
	}
	between := byte('{')
	for key, value := range m {
		out = append(events.AppendString(append(out, between), key), ':')
		out = events.AppendString(out, value)
		between = ','
	}
	return append(out, '}')
}

// jsonText is v as JSON, nil when it holds nothing.
func jsonText(v any, n int) (*string, error) {
	if n == 0 {
		return nil, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("as JSON: %w", err)
	}
	return text(string(b)), nil
}
