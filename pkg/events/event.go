package events

import (
	"encoding/json"
	"time"
)

// Event is the envelope. It is a value: handlers may keep it, nobody changes
// the bytes behind Data or Extra.
type Event struct {
	ID          string            `json:"id"`                 // UUID; the bus processes one id once
	Type        Type              `json:"type"`               // one of the catalogue
	WorkflowID  string            `json:"workflow_id"`        // 1 to 128 of A-Z a-z 0-9 . _ -
	Timestamp   time.Time         `json:"timestamp"`          // when it happened, by the producer's clock
	Data        json.RawMessage   `json:"data"`               // the payload: a JSON object
	SourceAgent string            `json:"source_agent"`       // who says so, e.g. "coordinator-agent"
	Metadata    map[string]string `json:"metadata,omitempty"` // optional, e.g. "traceparent" and [MetadataTenant]

	// Extra holds top-level fields this version does not know, as they came.
	Extra map[string]json.RawMessage `json:"-"`
}

// MetadataTenant is the key of the metadata that names whom the workflow belongs to.
// The coordinator sets it; agents hand it on with the rest of a request's metadata.
const MetadataTenant = "tenant"
