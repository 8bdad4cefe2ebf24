package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"agentbus/pkg/events"
)

func FuzzDuration(f *testing.F) {
	for _, spec := range events.Catalogue() {
		raw, err := json.Marshal(spec.Example)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	for _, data := range []string{
		`{}`, `{"duration_ms":0}`, `{"duration_ms":007}`, `{"duration_ms":-1}`, `{"duration_ms":1.5}`, `{"duration_ms":1e3}`, `{"duration_ms":"1"}`,
		`{"duration_ms":null}`, `{"duration_ms": 12 }`, `{"duration_ms":999999999999999999}`, `{"duration_ms":9223372036854775808}`,
		`{"summary":{"duration_ms":7}}`, `{"summary":{"duration_ms":7},"duration_ms":8}`, `{"list":[{"duration_ms":7}]}`,
		`{"reason":"\"duration_ms\":9","duration_ms":8}`, `{"reason":"\"duration_ms":9,"duration_ms":8}`, `{"reason":"{","duration_ms":8}`,
	} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		envelope := `{"id":"7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10","type":"workflow.completed","workflow_id":"w","timestamp":"2026-01-02T03:04:05Z","source_agent":"x","data":` + data + `}`
		e, err := events.Decode([]byte(envelope))
		if err != nil {
			t.Skip("the bus refuses it")
		}
		var p struct {
			DurationMS int64 `json:"duration_ms"`
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(e.Data, &keys); err != nil {
			t.Fatal(err)
		}
		for key := range keys {
			if key != "duration_ms" && strings.EqualFold(key, "duration_ms") {
				t.Skip("encoding/json takes a key in another case too, and the last one wins")
			}
		}
		err = json.Unmarshal(e.Data, &p)
		if err != nil || p.DurationMS < 0 {
			p.DurationMS = -1
		}
		ms, ok := durationOf(e.Data)
		if !ok {
			ms = -1
		}
		if ms != p.DurationMS {
			t.Errorf("%s: %d, encoding/json reads %d (%v)", e.Data, ms, p.DurationMS, err)
		}
	})
}

// TestOrdinaryDurationsAreFound: those of the catalogue's examples need no encoding/json.
func TestOrdinaryDurationsAreFound(t *testing.T) {
	for _, spec := range events.Catalogue() {
		raw, err := json.Marshal(spec.Example)
		if err != nil {
			t.Fatal(err)
		}
		if spec.Type == events.A2AResponse || !bytes.Contains(raw, durationKey) {
			continue
		}
		if n := testing.AllocsPerRun(10, func() { durationOf(raw) }); n > 0 {
			t.Errorf("%s: %v allocations", spec.Type, n)
		}
	}
}
