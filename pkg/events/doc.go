// Package events is the vocabulary of agentbus: the envelope every event
// travels in, the catalogue of the 20 event types with their payloads, and the
// names of everything kept in Redis. It knows no transport; package bus moves
// what is defined here.
//
// An event on the wire is one JSON object:
//
//	{"id":"<uuid>","type":"workflow.started","workflow_id":"wf-1",
//	 "timestamp":"2026-01-02T03:04:05.678Z","data":{},
//	 "source_agent":"coordinator","metadata":{"traceparent":"..."}}
//
// A producer in any language joins in with
//
//	XADD events:<type> * data '<json>'
//
// [Decode] is strict about what would hurt a reader further on (size, depth,
// encoding, ambiguous keys, wrong types) and names the field at fault with a
// [FieldError]; fields it does not know are kept and travel on.
//
// # Versions of a payload
//
// A payload only ever gains optional fields within a version. A change that a
// reader of the old form would misread gets a new version number in the
// catalogue, announced by the producer as metadata "schema_version"; absent
// means 1.
package events
