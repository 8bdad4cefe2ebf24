package main

import (
	"encoding/json"
	"fmt"
	"time"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/services/log-aggregator/redact"
)

// line is one event as it is logged; the order of the fields is that of the text.
type line struct {
	Time        time.Time         `json:"time"` // of the event, by its producer's clock
	Seq         int64             `json:"seq"`
	Type        events.Type       `json:"type"`
	WorkflowID  string            `json:"workflow_id"`
	SourceAgent string            `json:"source_agent"`
	EventID     string            `json:"event_id"`
	Data        json.RawMessage   `json:"data"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// writeLine writes m without its secrets as one line; with an error it writes nothing. m is not changed.
func writeLine(enc *json.Encoder, m *consumer.Message, r *redact.Redactor) error {
	e := &m.Event
	data, err := r.JSON(e.Data)
	if err != nil {
		return fmt.Errorf("field data: %w", err)
	}
	if err := enc.Encode(line{
		Time: e.Timestamp, Seq: m.Seq, Type: e.Type, WorkflowID: e.WorkflowID, SourceAgent: e.SourceAgent,
		EventID: e.ID, Data: data, Metadata: r.Strings(e.Metadata),
	}); err != nil {
		return fmt.Errorf("event as JSON: %w", err)
	}
	return nil
}
