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
	index           int // of the message in its batch
	id              uuid.UUID
	event           events.Event
	seq             int64
	metadata, extra []byte          // JSON; nil is NULL
	workflow        *workflowChange // what the event says of its workflow; nil: only that it was there
	stage           *stageResult    // nil unless the event ends a stage
}

// newRow reads what the event says. An error means that its payload is wrong: a *[events.FieldError].
func newRow(index int, m consumer.Message) (row, error) {
	id, err := uuid.Parse(m.Event.ID)
	if err != nil {
		return row{}, fmt.Errorf("field id: %w", err)
	}
	r := row{index: index, id: id, event: m.Event, seq: m.Seq}
	if r.metadata, err = jsonOf(m.Event.Metadata, len(m.Event.Metadata)); err != nil {
		return row{}, err
	}
	if r.extra, err = jsonOf(m.Event.Extra, len(m.Event.Extra)); err != nil {
		return row{}, err
	}
	if r.workflow, err = changeOf(m.Event, m.Seq); err != nil {
		return row{}, err
	}
	r.stage, err = stageResultOf(m.Event)
	return r, err
}

// jsonOf is v, which has n elements, as JSON; nil when it has none.
func jsonOf(v any, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("as JSON: %w", err)
	}
	return b, nil
}
