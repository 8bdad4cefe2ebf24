package events

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// member is one key of a JSON object with where its value stands.
type member struct {
	key      string
	from, to int
}

// scanner walks JSON and checks its grammar on the way, and all that encoding/json
// lets pass: see [Decode]. Keys and values are parts of text, nothing is copied.
// That it accepts what encoding/json does, and nothing else, is fuzzed. It is by hand
// because every event is decoded by four groups: in 1.4 µs each, where encoding/json
// takes 4.1 for the fields alone and 11 more to find a key that stands twice. That is
// 11 µs or more of the 95 that an event costs all processes together.
type scanner struct {
	text string
	pos  int
}

// document reads an object and the end of the text behind it, telling each member
// to visit.
func (s *scanner) document(visit func(member) error) error {
	if !utf8.ValidString(s.text) {
		return fieldErrorf("", "is not valid UTF-8")
	}
	s.space()
	if s.peek() != '{' {
		if !json.Valid([]byte(s.text)) {
			return s.bad()
		}
		return fieldErrorf("", "must be a JSON object, is %s", kindOf(s.peek()))
	}
	if err := s.object(1, visit); err != nil {
		return err
	}
	if s.space(); s.pos < len(s.text) {
		return s.bad()
	}
	return nil
}

// list reads an array of objects and the end of the text behind it. visit reads one.
func (s *scanner) list(visit func() error) error {
	if !utf8.ValidString(s.text) {
		return fieldErrorf("", "is not valid UTF-8")
	}
	if s.space(); s.peek() != '[' {
		return s.bad()
	}
	s.pos++
	for first := true; ; first = false {
		more, err := s.next(']', first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if s.peek() != '{' {
			return s.bad()
		}
		if err := visit(); err != nil {
			return err
		}
	}
	if s.space(); s.pos < len(s.text) {
		return s.bad()
	}
	return nil
}

// bad lets encoding/json say what is wrong: it words that well.
func (s *scanner) bad() error {
	var v json.RawMessage
	if err := json.Unmarshal([]byte(s.text), &v); err != nil {
		return fieldErrorf("", "is not valid JSON: %v", err)
	}
	return fieldErrorf("", "is not valid JSON")
}

// peek is the next byte, 0 at the end: no JSON has that one.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// next says whether another element comes, behind '{' or '[' or an element, and
// passes what stands between. The closing byte is passed too.
func (s *scanner) next(closing byte, first bool) (more bool, err error) {
	s.space()
	switch c := s.peek(); {
	case c == closing:
		s.pos++
		return false, nil
	case first:
		return true, nil
	case c == ',':
		s.pos++
		s.space()
		return true, nil
	}
	return false, s.bad()
}

func (s *scanner) object(depth int, visit func(member) error) error {
	if depth > MaxDepth {
		return fieldErrorf("", "is nested deeper than %d", MaxDepth)
	}
	var seen keySet
	s.pos++
	for first := true; ; first = false {
		if more, err := s.next('}', first); err != nil || !more {
			return err
		}
		from := s.pos
		if err := s.str(); err != nil {
			return err
		}
		key := unquote(s.text[from:s.pos])
		if seen.add(key) {
			return fieldErrorf(clip(key), "stands twice in one object")
		}
		if s.space(); s.peek() != ':' {
			return s.bad()
		}
		s.pos++
		s.space()
		from = s.pos
		if err := s.value(depth); err != nil {
			return err
		}
		if visit != nil {
			if err := visit(member{key, from, s.pos}); err != nil {
				return err
			}
		}
	}
}

func (s *scanner) array(depth int) error {
	if depth > MaxDepth {
		return fieldErrorf("", "is nested deeper than %d", MaxDepth)
	}
	s.pos++
	for first := true; ; first = false {
		if more, err := s.next(']', first); err != nil || !more {
			return err
		}
		if err := s.value(depth); err != nil {
			return err
		}
	}
}

// value reads one value inside a container of the given depth.
func (s *scanner) value(depth int) error {
	switch c := s.peek(); {
	case c == '{':
		return s.object(depth+1, nil)
	case c == '[':
		return s.array(depth + 1)
	case c == '"':
		return s.str()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	for _, literal := range []string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.pos:], literal) {
			s.pos += len(literal)
			return nil
		}
	}
	return s.bad()
}

// str reads a string with its quotes and refuses an escaped NUL (a bare one is
// invalid JSON already).
func (s *scanner) str() error {
	if s.peek() != '"' {
		return s.bad()
	}
	for s.pos++; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c < ' ':
			return s.bad()
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		}
	}
	return s.bad()
}

// escape reads behind a backslash, up to the last byte of the escape.
func (s *scanner) escape() error {
	s.pos++
	if c := s.peek(); c != 'u' {
		if c == 0 || strings.IndexByte(`"\/bfnrt`, c) < 0 {
			return s.bad()
		}
		return nil
	}
	if s.pos+4 >= len(s.text) {
		return s.bad()
	}
	hex := s.text[s.pos+1 : s.pos+5]
	code, err := strconv.ParseUint(hex, 16, 16)
	if err != nil {
		return s.bad()
	}
	if code == 0 {
		return fieldErrorf("", "has a NUL character (\\u0000) at byte %d; no store keeps it", s.pos-1)
	}
	s.pos += 4
	return nil
}

// number reads -? (0 | [1-9] digits) (. digits)? ([eE] [+-]? digits)?
func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.bad()
	}
	if s.peek() == '.' {
		if s.pos++; !s.digits() {
			return s.bad()
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.bad()
		}
	}
	return nil
}

// digits passes decimal digits and says whether there was one.
func (s *scanner) digits() bool {
	from := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > from
}

// kindOf names a JSON value's type, by its first byte, for an error text.
func kindOf(first byte) string {
	switch first {
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

// unquote returns the text of a valid JSON string.
func unquote(raw string) string {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var s string
	if json.Unmarshal([]byte(raw), &s) != nil {
		return ""
	}
	return s
}

// keySet remembers the keys of one object; most have few, a hostile one has many.
type keySet struct {
	few  [16]string
	n    int
	many map[string]struct{}
}

// add reports whether key was there already.
func (k *keySet) add(key string) bool {
	if k.many != nil {
		_, dup := k.many[key]
		k.many[key] = struct{}{}
		return dup
	}
	for _, have := range k.few[:k.n] {
		if have == key {
			return true
		}
	}
	if k.n < len(k.few) {
		k.few[k.n] = key
		k.n++
		return false
	}
	k.many = make(map[string]struct{}, 2*k.n)
	for _, have := range k.few {
		k.many[have] = struct{}{}
	}
	k.many[key] = struct{}{}
	return false
}
