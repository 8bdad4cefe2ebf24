package events

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
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

// MarshalJSON writes the wire form, unknown fields included. It does not
// validate (see [Event.Validate]), but what it writes is JSON: it refuses Data that is not.
func (e Event) MarshalJSON() ([]byte, error) {
	if !json.Valid(e.Data) {
		return nil, fieldErrorf("data", "is not valid JSON")
	}
	out := make([]byte, 0, 256+len(e.Data))
	out = AppendString(append(out, `{"id":`...), e.ID)
	out = AppendString(append(out, `,"type":`...), string(e.Type))
	out = AppendString(append(out, `,"workflow_id":`...), e.WorkflowID)
	out = append(out, `,"timestamp":"`...)
	out = e.Timestamp.AppendFormat(out, time.RFC3339Nano)
	out = append(append(out, `","data":`...), e.Data...)
	out = AppendString(append(out, `,"source_agent":`...), e.SourceAgent)
	if len(e.Metadata) > 0 {
		between := byte('{')
		out = append(out, `,"metadata":`...)
		for _, key := range slices.Sorted(maps.Keys(e.Metadata)) { // the same event gives the same bytes
			out = append(AppendString(append(out, between), key), ':')
			out = AppendString(out, e.Metadata[key])
			between = ','
		}
		out = append(out, '}')
	}
	if len(e.Extra) > 0 {
		extra, err := json.Marshal(e.Extra)
		if err != nil {
			return nil, err
		}
		return append(append(out, ','), extra[1:]...), nil
	}
	return append(out, '}'), nil
}

// AppendString appends s as the JSON string that encoding/json makes of it, without its help
// where nothing needs escaping, as in a valid event's names and ids.
func AppendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always can
			return append(out, quoted...)
		}
	}
	return append(append(append(out, '"'), s...), '"')
}

// UnmarshalJSON is [Decode] in the form encoding/json asks for.
func (e *Event) UnmarshalJSON(data []byte) error {
	dec, err := Decode(bytes.Clone(data)) // data is the caller's
	if err == nil {
		*e = dec
	}
	return err
}
