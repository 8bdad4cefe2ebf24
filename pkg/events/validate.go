package events

import (
	"strings"

	"github.com/google/uuid"
)

// Limits of an event. They protect whoever keeps events: a Redis entry is copied
// to every group, a row is kept for years.
const (
	MaxEventBytes = 1 << 20 // the whole event as JSON
	MaxDepth      = 32      // objects and arrays inside each other, the event's own included
	maxNameLen    = 128     // workflow_id, source_agent
	maxMetadata   = 32      // pairs
	maxMetaValue  = 4096    // bytes of one metadata value
)

// Validate checks the envelope; the error is a [FieldError].
func (e Event) Validate() error {
	if err := checkUUID("id", e.ID); err != nil {
		return err
	}
	if _, known := specs[e.Type]; !known {
		return fieldErrorf("type", "unknown event type %q; known are %s", clip(string(e.Type)), knownTypes())
	}
	if err := checkName("workflow_id", e.WorkflowID); err != nil {
		return err
	}
	if e.Timestamp.IsZero() {
		return fieldErrorf("timestamp", "is missing; give an RFC 3339 time such as 2026-01-02T03:04:05.678Z")
	}
	if y := e.Timestamp.Year(); y < 1 || y > 9999 {
		return fieldErrorf("timestamp", "year %d is outside 1 to 9999", y)
	}
	if len(e.Data) == 0 || e.Data[0] != '{' {
		return fieldErrorf("data", "must be a JSON object")
	}
	if err := checkName("source_agent", e.SourceAgent); err != nil {
		return err
	}
	return checkMetadata(e.Metadata)
}

func checkUUID(field, id string) error {
	if id == "" {
		return fieldErrorf(field, "is missing; give a UUID such as %s", uuid.Nil)
	}
	if len(id) != 36 || uuid.Validate(id) != nil {
		return fieldErrorf(field, "%q is no UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", clip(id))
	}
	return nil
}

// checkName keeps identifiers to characters that are safe in a Redis key (no
// braces: they choose the slot), a URL path and a file name.
func checkName(field, s string) error {
	if s == "" {
		return fieldErrorf(field, "is missing; give 1 to %d characters of A-Z a-z 0-9 . _ -", maxNameLen)
	}
	if len(s) > maxNameLen {
		return fieldErrorf(field, "has %d characters; at most %d", len(s), maxNameLen)
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.':
		default:
			return fieldErrorf(field, "%q has a character outside A-Z a-z 0-9 . _ -", clip(s))
		}
	}
	if strings.Trim(s, ".") == "" {
		return fieldErrorf(field, "%q is made of dots alone", s)
	}
	return nil
}

func checkMetadata(m map[string]string) error {
	if len(m) > maxMetadata {
		return fieldErrorf("metadata", "has %d pairs; at most %d", len(m), maxMetadata)
	}
	for k, v := range m {
		if err := checkName("metadata", k); err != nil {
			return err
		}
		if len(v) > maxMetaValue {
			return fieldErrorf("metadata."+k, "has %d bytes; at most %d", len(v), maxMetaValue)
		}
	}
	return nil
}
