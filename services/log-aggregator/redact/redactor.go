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
// where it may hold one a copy, compact, with numbers as they were written and the keys of objects in
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
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r.value(v)); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// clean looks at the strings of a JSON text one after the other. False means that there may be something
// to redact; most events have nothing, and need not be taken apart.
func (r *Redactor) clean(raw []byte) bool {
	for {
		from := bytes.IndexByte(raw, '"')
		if from < 0 {
			return true
		}
		raw = raw[from+1:]
		to := bytes.IndexByte(raw, '"')
		if to < 0 || bytes.IndexByte(raw[:to], '\\') >= 0 {
			return false // no JSON, or an escape: a closer look
		}
		text := raw[:to]
		raw = bytes.TrimLeft(raw[to+1:], " \t\r\n")
		if len(raw) > 0 && raw[0] == ':' {
			if named, _ := find(r.names, text); named != 0 {
				return false
			}
		}
		if found, _ := find(hints, text); found != 0 && Text(string(text)) != string(text) {
			return false
		}
	}
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

// value redacts in place: v was decoded for this purpose and belongs to nobody else.
func (r *Redactor) value(v any) any {
	switch v := v.(type) {
	case string:
		return Text(v)
	case []any:
		for i := range v {
			v[i] = r.value(v[i])
		}
		return v
	case map[string]any:
		for k, member := range v {
			if r.secret(k, member) {
				member = Mark
			} else {
				member = r.value(member)
			}
			if name := Text(k); name != k { // a secret used as a key
				delete(v, k)
				k = name
			}
			v[k] = member
		}
		return v
	}
	return v
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
