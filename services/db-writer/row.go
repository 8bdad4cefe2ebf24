package main

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// row is one event on its way into the database.
type row struct {
	index                 int // of the message in its batch
	id                    uuid.UUID
	event                 events.Event
	seq                   int64
	data, metadata, extra *string        // JSON texts; nil is NULL
	workflow              workflowChange // what the event says of its workflow
	stage                 *stageResult   // nil unless the event ends a stage
}

// newRow reads what the event says. An error means that its payload is wrong: a *[events.FieldError].
func newRow(index int, m bus.Message) (row, error) {
	id, err := uuid.Parse(m.Event.ID)
	if err != nil {
		return row{}, fmt.Errorf("field id: %w", err)
	}
	r := row{index: index, id: id, event: m.Event, seq: m.Seq}
	data := string(m.Event.Data)
	r.data = &data
	if r.metadata, err = jsonText(m.Event.Metadata, len(m.Event.Metadata)); err != nil {
		return row{}, err
	}
	if r.extra, err = jsonText(m.Event.Extra, len(m.Event.Extra)); err != nil {
		return row{}, err
	}
	if r.workflow, err = changeOf(m.Event, m.Seq); err != nil {
		return row{}, err
	}
	r.stage, err = stageResultOf(m.Event, m.Seq)
	return r, err
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
	s := string(b)
	return &s, nil
}
