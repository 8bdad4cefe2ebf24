package events

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// Decode reads one event from its wire form. It refuses, with a [FieldError]
// that names the field: more than [MaxEventBytes] or [MaxDepth], invalid JSON
// or UTF-8, NUL characters (PostgreSQL stores none), a key that stands twice in
// an object, a known key in another case (encoding/json would take either), and
// wrong types. The constant's name of a type (WORKFLOW_STARTED) is accepted.
// Data and Extra are parts of raw, which must not be changed afterwards.
func Decode(raw []byte) (Event, error) { return decode(string(raw), raw) }

// DecodeText is [Decode] of a text; raw has the same bytes, of which Data and Extra
// are parts.
func DecodeText(text string) (e Event, raw []byte, err error) {
	raw = []byte(text)
	e, err = decode(text, raw)
	return e, raw, err
}

// DecodeList reads events that share a stream entry, a JSON array of them, and tells
// each to visit, with its part of the text. Each must be as [Decode] wants it.
func DecodeList(text string, visit func(e Event, raw []byte) error) error {
	whole := []byte(text)
	s := scanner{text: text}
	return s.list(func() error {
		var e Event
		from := s.pos
		if err := s.object(1, func(m member) error { return e.set(m, text[m.from:m.to], whole[m.from:m.to:m.to]) }); err != nil {
			return err
		}
		if s.pos-from > MaxEventBytes {
			return tooLarge(s.pos - from)
		}
		if err := e.Validate(); err != nil {
			return err
		}
		return visit(e, whole[from:s.pos:s.pos])
	})
}

func tooLarge(size int) error {
	return fieldErrorf("", "has %d bytes; at most %d", size, MaxEventBytes)
}

// decode takes the strings from text and the rest from raw, which are the same.
func decode(text string, raw []byte) (Event, error) {
	if len(raw) > MaxEventBytes {
		return Event{}, tooLarge(len(raw))
	}
	var e Event
	s := scanner{text: text}
	if err := s.document(func(m member) error { return e.set(m, s.text[m.from:m.to], raw[m.from:m.to:m.to]) }); err != nil {
		return Event{}, err
	}
	return e, e.Validate()
}

// set takes a member's value, given as text and as bytes.
func (e *Event) set(m member, text string, raw []byte) error {
	switch m.key {
	case "id":
		return stringOf(m.key, text, &e.ID)
	case "type":
		var s string
		if err := stringOf(m.key, text, &s); err != nil {
			return err
		}
		e.Type = ParseType(s)
	case "workflow_id":
		return stringOf(m.key, text, &e.WorkflowID)
	case "timestamp":
		var s string
		if err := stringOf(m.key, text, &s); err != nil {
			return err
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return fieldErrorf("timestamp", "%q is no RFC 3339 time such as 2026-01-02T03:04:05.678Z", clip(s))
		}
		e.Timestamp = t.UTC()
	case "data":
		if text[0] != '{' {
			return fieldErrorf("data", "must be an object, is %s", kindOf(text[0]))
		}
		e.Data = raw
	case "source_agent":
		return stringOf(m.key, text, &e.SourceAgent)
	case "metadata":
		return e.setMetadata(text)
	default:
		for _, known := range wireFields {
			if strings.EqualFold(m.key, known) {
				return fieldErrorf(m.key, "is written in another case; the field is called %q", known)
			}
		}
		if e.Extra == nil {
			e.Extra = make(map[string]json.RawMessage)
		}
		e.Extra[m.key] = raw
	}
	return nil
}

var wireFields = []string{"id", "type", "workflow_id", "timestamp", "data", "source_agent", "metadata"}

func (e *Event) setMetadata(text string) error {
	if text == "null" {
		return nil
	}
	if text[0] != '{' {
		return fieldErrorf("metadata", "must be an object of strings, is %s", kindOf(text[0]))
	}
	e.Metadata = make(map[string]string)
	s := scanner{text: text}
	return s.object(1, func(m member) error {
		value := text[m.from:m.to]
		if value[0] != '"' {
			return fieldErrorf("metadata."+clip(m.key), "must be a string, is %s", kindOf(value[0]))
		}
		e.Metadata[m.key] = unquote(value)
		return nil
	})
}

// stringOf reads a value, which must be a JSON string, into dst.
func stringOf(field, text string, dst *string) error {
	if text[0] != '"' {
		return fieldErrorf(field, "must be a string, is %s", kindOf(text[0]))
	}
	*dst = unquote(text)
	return nil
}

// UnmarshalJSON is [Decode] in the form encoding/json asks for.
func (e *Event) UnmarshalJSON(data []byte) error {
	dec, err := Decode(bytes.Clone(data)) // data is the caller's
	if err == nil {
		*e = dec
	}
	return err
}
