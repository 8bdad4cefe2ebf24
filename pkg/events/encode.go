package events

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// MarshalJSON writes the wire form, unknown fields included. It does not
// validate (see [Event.Validate]), but what it writes is JSON: it refuses Data that is not.
func (e Event) MarshalJSON() ([]byte, error) {
	if !json.Valid(e.Data) {
		return nil, fieldErrorf("data", "is not valid JSON")
	}
	out := make([]byte, 0, 256+len(e.Data))
	out = AppendString(append(out, `{"id":`...), e.ID)
	out = AppendString(append(out, `,"type":`...), string(e.Type))
	out = AppendString(append(out, `,"workflow_id":`...), e.WorkflowID)
	out = append(out, `,"timestamp":"`...)
	out = e.Timestamp.AppendFormat(out, time.RFC3339Nano)
	out = append(append(out, `","data":`...), e.Data...)
	out = AppendString(append(out, `,"source_agent":`...), e.SourceAgent)
	if len(e.Metadata) > 0 {
		between := byte('{')
		out = append(out, `,"metadata":`...)
		for _, key := range slices.Sorted(maps.Keys(e.Metadata)) { // the same event gives the same bytes
			out = append(AppendString(append(out, between), key), ':')
			out = AppendString(out, e.Metadata[key])
			between = ','
		}
		out = append(out, '}')
	}
	if len(e.Extra) > 0 {
		extra, err := json.Marshal(e.Extra)
		if err != nil {
			return nil, err
		}
		return append(append(out, ','), extra[1:]...), nil
	}
	return append(out, '}'), nil
}

// AppendString appends s as the JSON string that encoding/json makes of it, without its help
// where nothing needs escaping, as in a valid event's names and ids.
func AppendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always can
			return append(out, quoted...)
		}
	}
	return append(append(append(out, '"'), s...), '"')
}
