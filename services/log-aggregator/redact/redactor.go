// Package redact makes copies of JSON values without the secrets in them: values of fields with telling
// names, and what looks like a secret inside any string. It is the last net, not a licence to put
// secrets into events: what has neither a telling name nor a known form passes.
package redact

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Mark stands where a secret was.
const Mark = "[REDACTED]"

// Redactor is safe for use by several goroutines.
type Redactor struct {
	names *words // normalised
}

// New makes a Redactor for fields whose name contains one of names. Case and punctuation do not count:
// "api_key" finds apiKey, X-Api-Key and API_KEY_2.
func New(names []string) *Redactor {
	var list []string
	for _, n := range names {
		if n = normalise(n); n != "" {
			list = append(list, n)
		}
	}
	return &Redactor{names: newWords(normalise, list)}
}

// JSON returns a JSON value without its secrets: raw itself, which may turn out not to be valid, or
// where it holds one a copy, compact, with numbers as they were written and the keys of objects in
// alphabetical order. raw is not changed.
func (r *Redactor) JSON(raw []byte) (json.RawMessage, error) {
	if r.clean(raw) {
		return raw, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	v, changed := r.value(v)
	if !changed {
		return raw, nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// clean reports that raw holds nothing to redact: neither a word of a name nor a hint of a pattern stands
// anywhere in the text, and no escape can hide one. It need not know JSON, takes 0.5 µs for an event's data
// where decoding takes 2.3, and says so of most events.
func (r *Redactor) clean(raw []byte) bool {
	named, _ := find(r.names, raw)
	hinted, _ := find(hints, raw)
	return named == 0 && hinted == 0 && bytes.IndexByte(raw, '\\') < 0
}

// Strings returns a map of strings without its secrets: m itself, or where it holds one a copy.
func (r *Redactor) Strings(m map[string]string) map[string]string {
	for k, v := range m {
		if r.tells(k) != no || Text(k) != k || Text(v) != v {
			return r.copyOf(m)
		}
	}
	return m
}

func (r *Redactor) copyOf(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		if r.tells(k) != no {
			v = Mark
		}
		out[Text(k)] = Text(v)
	}
	return out
}

// value redacts in place, and says whether there was anything: v was decoded for this purpose and belongs
// to nobody else.
func (r *Redactor) value(v any) (redacted any, changed bool) {
	switch v := v.(type) {
	case string:
		text := Text(v)
		return text, text != v
	case []any:
		for i, element := range v {
			element, held := r.value(element)
			v[i], changed = element, changed || held
		}
	case map[string]any:
		for k, member := range v {
			held := r.secret(k, member)
			if held {
				member = Mark
			} else {
				member, held = r.value(member)
			}
			if name := Text(k); name != k { // a secret used as a key
				delete(v, k)
				k, held = name, true
			}
			v[k], changed = member, changed || held
		}
	}
	return v, changed
}

// secret decides on a field. true, false and null tell nothing. A number is redacted only when the name
// ends in one of the words: "pin_token": 123456 is a secret, "secrets_found": 3 is a count.
func (r *Redactor) secret(name string, value any) bool {
	switch value.(type) {
	case nil, bool:
		return false
	case json.Number:
		return r.tells(name) == ends
	}
	return r.tells(name) != no
}

type telling int

const (
	no telling = iota
	contains
	ends
)

func (r *Redactor) tells(name string) telling {
	switch found, last := find(r.names, name); {
	case last != 0:
		return ends
	case found != 0:
		return contains
	}
	return no
}

// normalise keeps letters and digits, in lower case.
func normalise(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c > 127:
			return c
		}
		return -1
	}, s)
}
