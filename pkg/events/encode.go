package events

import (
	"bytes"
	"encoding/json"
)

// MarshalJSON writes the wire form, with the unknown fields last; the same event gives the
// same bytes. It does not validate (see [Event.Validate]), but what it writes is JSON: it
// refuses Data that is not.
func (e Event) MarshalJSON() ([]byte, error) {
	type fields Event // without this method
	out, err := marshal(fields(e))
	if (err != nil || e.Data == nil) && !json.Valid(e.Data) { // encoding/json makes null of nil
		return nil, fieldErrorf("data", "is not valid JSON")
	}
	if err != nil || len(e.Extra) == 0 {
		return out, err
	}
	extra, err := marshal(e.Extra)
	if err != nil {
		return nil, err
	}
	out[len(out)-1] = ',' // instead of the closing brace
	return append(out, extra[1:]...), nil
}

// marshal is [json.Marshal], but leaves < > and & as they are: an event is no web page.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
