// Package asyncapi describes the vocabulary to the world: a JSON Schema of every
// payload and an AsyncAPI 3 document of streams, messages and groups, made from
// the catalogue and its structs. The files beside it are its output; a test
// fails when they are not what the code says (`go test ./asyncapi -update`
// writes them anew).
package asyncapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"agentbus/pkg/events"
)

// Envelope is the JSON Schema of the event around every payload.
func Envelope() *jsonschema.Schema {
	str := func(desc string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Description: desc} }
	typ := str("the event's type; the constant's name (WORKFLOW_STARTED) is accepted too")
	for _, s := range events.Catalogue() {
		typ.Enum = append(typ.Enum, string(s.Type))
	}
	for _, s := range events.Catalogue() {
		typ.Enum = append(typ.Enum, s.Type.Name())
	}
	id := str("a UUID; an id is processed once")
	id.Format = "uuid"
	at := str("when it happened, RFC 3339")
	at.Format = "date-time"
	name := func(desc string) *jsonschema.Schema {
		s := str(desc)
		s.Pattern = `^[A-Za-z0-9._-]{1,128}$`
		return s
	}
	return &jsonschema.Schema{
		Schema: "https://json-schema.org/draft/2020-12/schema",
		Title:  "Event",
		Type:   "object",
		Properties: map[string]*jsonschema.Schema{
			"id": id, "type": typ, "workflow_id": name("the workflow it belongs to"), "timestamp": at,
			"data":         {Type: "object", Description: "the payload of the type"},
			"source_agent": name("who says so"),
			"metadata": {Type: "object", Description: "e.g. traceparent",
				AdditionalProperties: &jsonschema.Schema{Type: "string"}},
		},
		PropertyOrder: []string{"id", "type", "workflow_id", "timestamp", "data", "source_agent", "metadata"},
		Required:      []string{"id", "type", "workflow_id", "timestamp", "data", "source_agent"},
	}
}

// Payload is the JSON Schema of a type's data. Unknown properties are allowed:
// a payload may gain optional fields.
func Payload(spec events.Spec) (*jsonschema.Schema, error) {
	s, err := jsonschema.ForType(reflect.TypeOf(spec.Example).Elem(), &jsonschema.ForOptions{
		TypeSchemas: map[reflect.Type]*jsonschema.Schema{
			reflect.TypeFor[json.RawMessage](): {Type: "object"},
			reflect.TypeFor[events.Stage]():    {Type: "string", Enum: []any{"generation", "audit", "testing", "deployment"}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", spec.Type, err)
	}
	open(s)
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = fmt.Sprintf("%s v%d", spec.Type, spec.Version)
	s.Description = spec.Means
	return s, nil
}

// open lets structs carry properties the schema does not know, and absent slices
// be absent instead of null.
func open(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Not != nil {
		s.AdditionalProperties = nil
	}
	open(s.AdditionalProperties)
	open(s.Items)
	for _, p := range s.Properties {
		open(p)
	}
}

// Groups says which types each consumer group reads; patterns as in events.Match.
func Groups() map[string][]string {
	groups := map[string][]string{
		"coordinators":       {"a2a.response"},
		"websocket_workers":  {"*"},
		"db_writers":         {"workflow.*", "*.completed", "*.confirmed", "*.failed"},
		"metrics_collectors": {"*"},
		"log_aggregators":    {"*"},
	}
	for _, s := range events.Stages() {
		groups[s.Group()] = []string{"a2a.request"}
	}
	return groups
}

// Document is the AsyncAPI 3 document, ready to be written as JSON.
func Document() (map[string]any, error) {
	channels, operations, messages := map[string]any{}, map[string]any{}, map[string]any{}
	for _, spec := range events.Catalogue() {
		payload, err := Payload(spec)
		if err != nil {
			return nil, err
		}
		name := spec.Type.Name()
		messages[name] = map[string]any{
			"name": name, "title": string(spec.Type), "summary": spec.Means, "contentType": "application/json",
			"payload": map[string]any{"allOf": []any{
				map[string]any{"$ref": "#/components/schemas/Event"},
				map[string]any{"type": "object", "properties": map[string]any{
					"type": map[string]any{"enum": []string{string(spec.Type), name}}, "data": payload}},
			}},
		}
		channels[name] = map[string]any{
			"address":     events.Naming{}.Stream(spec.Type, 0),
			"description": spec.Means + " Partitioned (Redis Cluster): " + events.Naming{Partitions: 1}.Stream(spec.Type, 0) + " with the partition's number.",
			"messages":    map[string]any{name: map[string]any{"$ref": "#/components/messages/" + name}},
		}
		operations["publish_"+name] = map[string]any{
			"action": "send", "channel": map[string]any{"$ref": "#/channels/" + name},
			"summary": "Published by " + spec.Producer + " (XADD <stream> * data <json>).",
		}
	}
	for group, patterns := range Groups() {
		types, err := events.Match(patterns...)
		if err != nil {
			return nil, err
		}
		for _, t := range types {
			operations[group+"_"+t.Name()] = map[string]any{
				"action": "receive", "channel": map[string]any{"$ref": "#/channels/" + t.Name()},
				"summary": "Consumer group " + group + " (" + strings.Join(patterns, ", ") + ").",
			}
		}
	}
	return map[string]any{
		"asyncapi": "3.0.0",
		"info": map[string]any{"title": "agentbus", "version": "1.0.0",
			"description": "Events of a multi-agent software-delivery pipeline on Redis Streams. An entry has the field data (the event as JSON) and seq, the event's number in its workflow; an entry added without seq gets one when it is first read. Only where an operator has set BUS_EVENTS_PER_ENTRY above 1, events of one type that were published at the same time may share an entry: data is a JSON array of them then, and seq their numbers in the same order, space-separated. Who adds entries by XADD puts one event into each."},
		"servers": map[string]any{"redis": map[string]any{"host": "127.0.0.1:6379", "protocol": "redis", "description": "Redis 7.0.5 or newer"}},

		"defaultContentType": "application/json",
		"channels":           channels,
		"operations":         operations,
		"components":         map[string]any{"messages": messages, "schemas": map[string]any{"Event": Envelope()}},
	}, nil
}
