package asyncapi

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"agentbus/pkg/devserver/golden"
	"agentbus/pkg/events"
)

// TestFilesAreWhatTheCodeSays keeps the published documents true.
func TestFilesAreWhatTheCodeSays(t *testing.T) {
	doc, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	golden.JSON(t, "asyncapi.json", doc)
	golden.JSON(t, filepath.Join("schemas", "event.json"), Envelope())
	for _, spec := range events.Catalogue() {
		s, err := Payload(spec)
		if err != nil {
			t.Fatal(err)
		}
		golden.JSON(t, filepath.Join("schemas", string(spec.Type)+".json"), s)
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
