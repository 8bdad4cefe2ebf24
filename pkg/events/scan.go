package events

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// member is one key of a JSON object with its value's bytes.
type member struct {
	key   string
	value []byte
}

// scanObject returns the members of the object that data holds, in order, after
// checking all that encoding/json lets pass: see [Decode]. json.Valid goes
// first, so the scanner may rely on the grammar and stay small.
func scanObject(data []byte) ([]member, error) {
	if !utf8.Valid(data) {
		return nil, fieldErrorf("", "is not valid UTF-8")
	}
	if !json.Valid(data) {
		return nil, syntaxError(data)
	}
	s := scanner{data: data}
	s.space()
	if s.data[s.pos] != '{' {
		return nil, fieldErrorf("", "must be a JSON object, is %s", kindOf(s.data[s.pos:]))
	}
	var top []member
	err := s.object(1, func(m member) { top = append(top, m) })
	return top, err
}

func syntaxError(data []byte) error {
	var v json.RawMessage
	if err := json.Unmarshal(data, &v); err != nil {
		return fieldErrorf("", "is not valid JSON: %v", err)
	}
	return fieldErrorf("", "is not valid JSON")
}

// scanner walks JSON that is known to be valid.
type scanner struct {
	data []byte
	pos  int
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// object reads from '{' to behind '}', telling each member to visit (may be nil).
func (s *scanner) object(depth int, visit func(member)) error {
	if depth > MaxDepth {
		return fieldErrorf("", "is nested deeper than %d", MaxDepth)
	}
	var seen keySet
	s.pos++
	for s.space(); s.data[s.pos] != '}'; s.space() {
		if s.data[s.pos] == ',' {
			s.pos++
			s.space()
		}
		raw, err := s.str()
		if err != nil {
			return err
		}
		key := unquote(raw)
		if seen.add(key) {
			return fieldErrorf(clip(key), "stands twice in one object")
		}
		s.space()
		s.pos++ // ':'
		s.space()
		from := s.pos
		if err := s.value(depth); err != nil {
			return err
		}
		if visit != nil {
			visit(member{key, s.data[from:s.pos:s.pos]})
		}
	}
	s.pos++
	return nil
}

func (s *scanner) array(depth int) error {
	if depth > MaxDepth {
		return fieldErrorf("", "is nested deeper than %d", MaxDepth)
	}
	s.pos++
	for s.space(); s.data[s.pos] != ']'; s.space() {
		if s.data[s.pos] == ',' {
			s.pos++
			s.space()
		}
		if err := s.value(depth); err != nil {
			return err
		}
	}
	s.pos++
	return nil
}

// value reads one value inside a container of the given depth.
func (s *scanner) value(depth int) error {
	switch s.data[s.pos] {
	case '{':
		return s.object(depth+1, nil)
	case '[':
		return s.array(depth + 1)
	case '"':
		_, err := s.str()
		return err
	}
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return nil
		}
		s.pos++
	}
	return nil
}

// str reads a string with its quotes and refuses an escaped NUL (a bare one is
// invalid JSON already).
func (s *scanner) str() ([]byte, error) {
	from := s.pos
	for s.pos++; s.data[s.pos] != '"'; s.pos++ {
		if s.data[s.pos] != '\\' {
			continue
		}
		s.pos++
		if bytes.HasPrefix(s.data[s.pos:], []byte("u0000")) {
			return nil, fieldErrorf("", "has a NUL character (\\u0000) at byte %d; no store keeps it", s.pos-1)
		}
	}
	s.pos++
	return s.data[from:s.pos], nil
}

// unquote returns the text of a valid JSON string.
func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// keySet remembers the keys of one object; most have few, a hostile one has many.
type keySet struct {
	few  []string
	many map[string]struct{}
}

// add reports whether key was there already.
func (k *keySet) add(key string) bool {
	if k.many != nil {
		_, dup := k.many[key]
		k.many[key] = struct{}{}
		return dup
	}
	for _, have := range k.few {
		if have == key {
			return true
		}
	}
	k.few = append(k.few, key)
	if len(k.few) > 16 {
		k.many = make(map[string]struct{}, 2*len(k.few))
		for _, have := range k.few {
			k.many[have] = struct{}{}
		}
	}
	return false
}
