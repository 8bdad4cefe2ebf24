package events

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Event is the envelope. It is a value: handlers may keep it, nobody changes
// the bytes behind Data or Extra.
type Event struct {
	ID          string            // UUID; the bus processes one id once
	Type        Type              // one of the catalogue
	WorkflowID  string            // 1 to 128 of A-Z a-z 0-9 . _ -
	Timestamp   time.Time         // when it happened, by the producer's clock
	Data        json.RawMessage   // the payload: a JSON object
	SourceAgent string            // who says so, e.g. "coordinator-agent"
	Metadata    map[string]string // optional, e.g. "traceparent" and [MetadataTenant]

	// Extra holds top-level fields this version does not know, as they came.
	Extra map[string]json.RawMessage
}

// MetadataTenant is the key of the metadata that names whom the workflow belongs to.
// The coordinator sets it; agents hand it on with the rest of a request's metadata.
const MetadataTenant = "tenant"

// New makes an event that happens now. The payload decides the type's data and
// must belong to typ; it is validated, so that what is wrong shows here and not
// in four consumers. Times are kept to the microsecond.
func New(typ Type, workflowID, source string, payload Payload) (Event, error) {
	data, err := json.Marshal(payload)
	if err != nil {
		return Event{}, fieldErrorf("data", "cannot be written as JSON: %v", err)
	}
	e := Event{
		ID:          uuid.NewString(),
		Type:        typ,
		WorkflowID:  workflowID,
		Timestamp:   time.Now().UTC().Truncate(time.Microsecond),
		Data:        data,
		SourceAgent: source,
	}
	if err := e.Validate(); err != nil {
		return Event{}, err
	}
	return e, checkPayload(typ, payload)
}

// wireEvent fixes names and order of the fields on the wire.
type wireEvent struct {
	ID          string            `json:"id"`
	Type        Type              `json:"type"`
	WorkflowID  string            `json:"workflow_id"`
	Timestamp   time.Time         `json:"timestamp"`
	Data        json.RawMessage   `json:"data"`
	SourceAgent string            `json:"source_agent"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// MarshalJSON writes the wire form, unknown fields included. It does not
// validate: see [Event.Validate].
func (e Event) MarshalJSON() ([]byte, error) {
	out, err := json.Marshal(wireEvent{e.ID, e.Type, e.WorkflowID, e.Timestamp, e.Data, e.SourceAgent, e.Metadata})
	if err != nil || len(e.Extra) == 0 {
		return out, err
	}
	extra, err := json.Marshal(e.Extra)
	if err != nil {
		return nil, err
	}
	return append(append(out[:len(out)-1], ','), extra[1:]...), nil
}

// UnmarshalJSON is [Decode] in the form encoding/json asks for.
func (e *Event) UnmarshalJSON(data []byte) error {
	dec, err := Decode(data)
	if err == nil {
		*e = dec
	}
	return err
}
