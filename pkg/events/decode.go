package events

import (
	"encoding/json"
	"strings"
	"time"
)

// Decode reads one event from its wire form. It refuses, with a [FieldError]
// that names the field: more than [MaxEventBytes] or [MaxDepth], invalid JSON
// or UTF-8, NUL characters (PostgreSQL stores none), a key that stands twice in
// an object, a known key in another case (encoding/json would take either), and
// wrong types. The constant's name of a type (WORKFLOW_STARTED) is accepted.
// The event keeps no reference to raw.
func Decode(raw []byte) (Event, error) {
	if len(raw) > MaxEventBytes {
		return Event{}, fieldErrorf("", "has %d bytes; at most %d", len(raw), MaxEventBytes)
	}
	own := append([]byte(nil), raw...)
	members, err := scanObject(own)
	if err != nil {
		return Event{}, err
	}
	var e Event
	for _, m := range members {
		if err := e.set(m); err != nil {
			return Event{}, err
		}
	}
	return e, e.Validate()
}

func (e *Event) set(m member) error {
	switch m.key {
	case "id":
		return m.string(&e.ID)
	case "type":
		var s string
		if err := m.string(&s); err != nil {
			return err
		}
		e.Type = ParseType(s)
	case "workflow_id":
		return m.string(&e.WorkflowID)
	case "timestamp":
		var s string
		if err := m.string(&s); err != nil {
			return err
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return fieldErrorf("timestamp", "%q is no RFC 3339 time such as 2026-01-02T03:04:05.678Z", clip(s))
		}
		e.Timestamp = t.UTC()
	case "data":
		if m.value[0] != '{' {
			return fieldErrorf("data", "must be an object, is %s", kindOf(m.value))
		}
		e.Data = m.value
	case "source_agent":
		return m.string(&e.SourceAgent)
	case "metadata":
		return e.setMetadata(m.value)
	default:
		for _, known := range wireFields {
			if strings.EqualFold(m.key, known) {
				return fieldErrorf(m.key, "is written in another case; the field is called %q", known)
			}
		}
		if e.Extra == nil {
			e.Extra = make(map[string]json.RawMessage)
		}
		e.Extra[m.key] = m.value
	}
	return nil
}

var wireFields = []string{"id", "type", "workflow_id", "timestamp", "data", "source_agent", "metadata"}

func (e *Event) setMetadata(value []byte) error {
	if string(value) == "null" {
		return nil
	}
	if value[0] != '{' {
		return fieldErrorf("metadata", "must be an object of strings, is %s", kindOf(value))
	}
	members, err := scanObject(value)
	if err != nil {
		return err
	}
	e.Metadata = make(map[string]string, len(members))
	for _, m := range members {
		var s string
		if m.value[0] != '"' {
			return fieldErrorf("metadata."+clip(m.key), "must be a string, is %s", kindOf(m.value))
		}
		if err := m.string(&s); err != nil {
			return err
		}
		e.Metadata[m.key] = s
	}
	return nil
}

// string reads the member's value into dst, which must be a JSON string.
func (m member) string(dst *string) error {
	if m.value[0] != '"' {
		return fieldErrorf(m.key, "must be a string, is %s", kindOf(m.value))
	}
	*dst = unquote(m.value)
	return nil
}

// kindOf names a JSON value's type for an error text.
func kindOf(value []byte) string {
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
