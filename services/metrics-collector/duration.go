package main

import (
	"bytes"
	"encoding/json"
)

// durationKey is what every event that ends something says first or last, before any artifact.
var durationKey = []byte(`"duration_ms":`)

// durationOf reads how long the work took, in milliseconds, out of a payload that ends something; ok is
// false when that is no whole number from 0 on. A payload without it took 0 ms, as for [events.PayloadOf].
// As producers write it, it is a run of digits, found without decoding the rest; anything else is left to
// encoding/json.
func durationOf(data []byte) (ms int64, ok bool) {
	if at := bytes.Index(data, durationKey); at > 0 && outermost(data[:at]) {
		if ms, ok := digits(data[at+len(durationKey):]); ok {
			return ms, true
		}
	}
	var p struct {
		DurationMS int64 `json:"duration_ms"`
	}
	err := json.Unmarshal(data, &p)
	return p.DurationMS, err == nil && p.DurationMS >= 0
}

// outermost says that a key which follows is one of the payload itself: nothing was opened since but the
// payload, and no quote is escaped.
func outermost(before []byte) bool {
	return bytes.LastIndexByte(before, '{') == 0 && bytes.IndexByte(before, '\\') < 0
}

// digits reads a number of up to 18 digits that ends its member.
func digits(text []byte) (n int64, ok bool) {
	for i, c := range text[:min(len(text), 19)] {
		switch {
		case '0' <= c && c <= '9':
			n = 10*n + int64(c-'0')
		default:
			return n, i > 0 && (c == ',' || c == '}')
		}
	}
	return 0, false
}
