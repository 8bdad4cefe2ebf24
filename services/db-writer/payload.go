package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"agentbus/pkg/events"
)

// payload is a pointer to a struct of the vocabulary.
type payload[P any] interface {
	*P
	events.Payload
}

// read takes e's payload as [events.PayloadOf] does, into p, whose fields are all named. What producers
// write is read without reflection, in a quarter of the time; what is out of the ordinary (a key that is
// none of ours, an escape, a null, a fraction) and every value of a wrong type is left to encoding/json.
// A fuzz target holds the two against each other. The error is a *[events.FieldError].
func read[P any, PP payload[P]](e events.Event, p PP, fields ...field) error {
	if plain(e.Data, fields) {
		return p.Validate()
	}
	whole, err := events.PayloadOf[P, PP](e)
	if err == nil {
		*p = *whole
	}
	return err
}

// field is a key of a payload and where its value goes.
type field struct {
	key string
	to  any
}

// plain reads an object of known keys and plain values. Raw values become parts of data.
func plain(data []byte, fields []field) bool {
	return events.Members(data, func(key string, value []byte) error {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		if i < 0 || !set(fields[i].to, value) {
			return errUnusual
		}
		return nil
	}) == nil
}

var errUnusual = errors.New("left to encoding/json")

// set stores one value, or says that it is for encoding/json.
func set(to any, value []byte) bool {
	switch to := to.(type) {
	case *string:
		text, ok := unquoted(value)
		*to = string(text)
		return ok
	case *events.Stage:
		text, ok := unquoted(value)
		*to = stageOf(text)
		return ok
	case *int:
		n, ok := integer(value)
		*to = int(n)
		return ok
	case *int64:
		n, ok := integer(value)
		*to = n
		return ok
	case *bool:
		*to = string(value) == "true"
		return *to || string(value) == "false"
	case *json.RawMessage:
		*to = value
		return string(value) != "null"
	}
	return json.Unmarshal(value, to) == nil
}

// stageOf is a stage without memory of its own, as long as it is one of ours.
func stageOf(text []byte) events.Stage {
	for _, s := range [...]events.Stage{events.Generation, events.Audit, events.Testing, events.Deployment} {
		if string(s) == string(text) {
			return s
		}
	}
	return events.Stage(text)
}

// unquoted is the text of a string without escapes; ok is false for anything else.
func unquoted(value []byte) (text []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return nil, false
	}
	return value[1 : len(value)-1], true
}

// integer reads a number of up to 18 digits without fraction and exponent; ok is false for any other.
func integer(value []byte) (n int64, ok bool) {
	digits := bytes.TrimPrefix(value, []byte{'-'})
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	if len(digits) < len(value) {
		n = -n
	}
	return n, len(digits) > 0 && len(digits) <= 18
}
