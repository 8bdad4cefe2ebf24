package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"agentbus/pkg/events/bus/consumer"
	"agentbus/services/log-aggregator/redact"
)

// appendLine adds m's line to out; with an error, which names the field, nothing is added. It is what
// encoding/json makes of the fields in this order, by hand because every event passes here. m is not changed.
func appendLine(out []byte, m *consumer.Message, r *redact.Redactor) ([]byte, error) {
	e := &m.Event
	data, err := r.JSON(e.Data)
	if err != nil {
		return out, fmt.Errorf("field data: %w", err)
	}
	line, err := e.Timestamp.AppendText(append(out, `{"time":"`...)) // by the producer's clock
	if err != nil {
		return out, fmt.Errorf("field timestamp: %w", err)
	}
	line = strconv.AppendInt(append(line, `","seq":`...), m.Seq, 10)
	line = appendString(append(line, `,"type":`...), string(e.Type))
	line = appendString(append(line, `,"workflow_id":`...), e.WorkflowID)
	line = appendString(append(line, `,"source_agent":`...), e.SourceAgent)
	line = appendString(append(line, `,"event_id":`...), e.ID)
	line, err = appendCompact(append(line, `,"data":`...), data)
	if err != nil {
		return out, fmt.Errorf("field data: %w", err)
	}
	if len(e.Metadata) > 0 {
		line = appendStrings(append(line, `,"metadata":`...), r.Strings(e.Metadata))
	}
	return append(line, "}\n"...), nil
}

// appendCompact writes a JSON value without spaces, and makes sure that it is one.
func appendCompact(out, value []byte) ([]byte, error) {
	buf := bytes.NewBuffer(out)
	err := json.Compact(buf, value)
	return buf.Bytes(), err
}

// appendStrings writes m, which is not empty, as a JSON object, with its keys in order.
func appendStrings(out []byte, m map[string]string) []byte {
	var room [8]string
	keys := room[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	between := byte('{')
	for _, key := range keys {
		out = append(appendString(append(out, between), key), ':')
		out = appendString(out, m[key])
		between = ','
	}
	return append(out, '}')
}

// appendString writes s as a JSON string. Of a valid event's strings only those of its metadata may need
// more than quotes.
func appendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return appendQuoted(out, s)
		}
	}
	return append(append(append(out, '"'), s...), '"')
}

// appendQuoted is appendString for any s. < > and & stay as they are: a line is no web page.
func appendQuoted(out []byte, s string) []byte {
	buf := bytes.NewBuffer(out)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always can
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
