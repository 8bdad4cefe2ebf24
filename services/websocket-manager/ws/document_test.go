package ws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"agentbus/pkg/devserver/golden"
)

// eventFrame is what live.Item.Frame holds.
type eventFrame struct {
	Type       string         `json:"type"` // event
	WorkflowID string         `json:"workflow_id"`
	Seq        int64          `json:"seq"`
	Event      map[string]any `json:"event"`
}

// serverFrames and clientFrames by their type.
var (
	serverFrames = map[string]struct {
		frame any
		means string
	}{
		"hello":        {helloFrame{}, "First frame: the protocol's version and the replica that serves."},
		"subscribed":   {subscribedFrame{}, "Events of the workflow, or the list, follow. reset: the numbers began anew."},
		"unsubscribed": {unsubscribedFrame{}, "Nothing more of it follows."},
		"event":        {eventFrame{}, "An event as in the vocabulary, with its number in its workflow."},
		"gap":          {gapFrame{}, "Events of these numbers, both included, are not kept here."},
		"live":         {liveFrame{}, "All that was there has been sent; what follows happens now."},
		"rows":         {rowsFrame{}, "Rows of the list: all (snapshot), then those that changed."},
		"error":        {errorFrame{}, "A request was not served; the connection stays. Codes: bad_request, not_found, too_many, unavailable."},
		"leaving":      {leavingFrame{}, "The server closes next; connect again after so many milliseconds."},
	}
	clientFrames = map[string]string{
		"subscribe":   "Begin to follow a workflow after number since, or the list.",
		"unsubscribe": "Stop following it.",
	}
)

func document(t *testing.T) map[string]any {
	t.Helper()
	messages := map[string]any{}
	refs := func(names ...string) map[string]any {
		out := map[string]any{}
		for _, name := range names {
			out[name] = map[string]any{"$ref": "#/components/messages/" + name}
		}
		return out
	}
	add := func(name, means string, frame any) {
		s, err := jsonschema.ForType(reflect.TypeOf(frame), &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
			reflect.TypeFor[json.RawMessage](): {Type: "object"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		s.AdditionalProperties = nil // clients ignore what they do not know
		s.Properties["type"].Const = jsonschema.Ptr[any](name)
		if _, request := frame.(request); request {
			s.Required = []string{"type"}
		}
		messages[name] = map[string]any{"name": name, "summary": means, "contentType": "application/json", "payload": s}
	}
	var fromServer, fromClient []string
	for name, f := range serverFrames {
		add(name, f.means, f.frame)
		fromServer = append(fromServer, name)
	}
	for name, means := range clientFrames {
		add(name, means, request{})
		fromClient = append(fromClient, name)
	}
	query := func(kind, means string) map[string]any { return map[string]any{"type": kind, "description": means} }
	return map[string]any{
		"asyncapi": "3.0.0",
		"info": map[string]any{"title": "agentbus live view", "version": fmt.Sprintf("%d.0.0", Protocol),
			"description": "Workflows as they happen. PROTOCOL.md has the close codes and which of them to come back after."},
		"servers": map[string]any{"websocket-manager": map[string]any{"host": "127.0.0.1:8081", "protocol": "ws"}},
		"channels": map[string]any{"live": map[string]any{
			"address":  "/ws",
			"messages": refs(append(fromServer, fromClient...)...),
			"bindings": map[string]any{"ws": map[string]any{"method": "GET", "query": map[string]any{"type": "object", "properties": map[string]any{
				"workflow_id": query("string", "Subscribe to this workflow at once"), "since": query("integer", "after this number"),
				"list": query("integer", "1: subscribe to the list"), "ticket": query("string", "of POST /v1/tickets, instead of a bearer token"),
			}}}},
		}},
		"operations": map[string]any{
			"tell": map[string]any{"action": "send", "channel": map[string]any{"$ref": "#/channels/live"}, "messages": references(fromServer)},
			"ask":  map[string]any{"action": "receive", "channel": map[string]any{"$ref": "#/channels/live"}, "messages": references(fromClient)},
		},
		"components": map[string]any{"messages": messages},
	}
}

func references(names []string) []any {
	var out []any
	for _, name := range slices.Sorted(slices.Values(names)) {
		out = append(out, map[string]any{"$ref": "#/channels/live/messages/" + name})
	}
	return out
}

func TestDocumentIsWhatTheCodeSays(t *testing.T) {
	t.Parallel()
	golden.JSON(t, "asyncapi.json", document(t))
}

// TestProtocolShowsRealFrames holds every frame written out in PROTOCOL.md against the document.
func TestProtocolShowsRealFrames(t *testing.T) {
	t.Parallel()
	var doc struct {
		Components struct {
			Messages map[string]struct{ Payload *jsonschema.Schema }
		}
	}
	if err := json.Unmarshal(AsyncAPI, &doc); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, raw := range regexp.MustCompile(`(?m)\{"type":"[a-z]+".*?\}(?:\]\})?(?:\})?`).FindAll(bytes.ReplaceAll(text, []byte("{...}"), []byte("{}")), -1) {
		var frame map[string]any
		for len(raw) > 0 && json.Unmarshal(raw, &frame) != nil {
			raw = raw[:len(raw)-1]
		}
		name, _ := frame["type"].(string)
		schema, err := doc.Components.Messages[name].Payload.Resolve(nil)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		shown[name] = true
		if err := schema.Validate(frame); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for name := range doc.Components.Messages {
		if !shown[name] {
			t.Errorf("PROTOCOL.md does not show the frame %s", name)
		}
	}
}
