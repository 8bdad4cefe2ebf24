package asyncapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"agentbus/pkg/events"
)

var update = flag.Bool("update", false, "write the files instead of comparing them")

// TestFilesAreWhatTheCodeSays keeps the published documents true.
func TestFilesAreWhatTheCodeSays(t *testing.T) {
	doc, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "asyncapi.json", doc)
	compare(t, filepath.Join("schemas", "event.json"), Envelope())
	for _, spec := range events.Catalogue() {
		s, err := Payload(spec)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, filepath.Join("schemas", string(spec.Type)+".json"), s)
	}
}

func compare(t *testing.T, file string, v any) {
	t.Helper()
	want, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code says; run: go test ./asyncapi -update", file)
	}
}

// TestExamplesFollowTheirSchemas holds the schemas against events that Decode accepts.
func TestExamplesFollowTheirSchemas(t *testing.T) {
	envelope, err := Envelope().Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range events.Catalogue() {
		s, err := Payload(spec)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := s.Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		e, err := events.New(spec.Type, "wf-1", "tester", spec.Example)
		if err != nil {
			t.Fatalf("%s: the example is not valid: %v", spec.Type, err)
		}
		check(t, string(spec.Type)+" envelope", envelope, e)
		check(t, string(spec.Type)+" data", payload, e.Data)
		if err := payload.Validate(map[string]any{"correlation_id": 1, "percent": "x", "name": 2, "stage": 3, "duration_ms": "long"}); err == nil {
			t.Errorf("%s: the schema accepts wrong types", spec.Type)
		}
	}
}

func check(t *testing.T, what string, s *jsonschema.Resolved, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(raw, &plain); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(plain); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}
