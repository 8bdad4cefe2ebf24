package live

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"agentbus/pkg/events"
)

// part is some fields of a workflow's row in the list, as one event says them. Redis keeps the latest part
// of each combination of fields, and who reads a row takes each field from the latest part that has it. So
// the order of writing does not matter, and an event costs Redis two fields of a hash at most, where each
// on its own would be three to eight.
//
// Fields: tenant, name, state (created, running, completed, failed, cancelled), stage, percent, attempt,
// message, code, reason, created_at, started_at, finished_at, duration_ms, updated_at, seq, and one for each
// stage (running, done, failed).
type part struct {
	names string // of the fields, with commas between
	seq   int64
	text  text
}

// topField of a row's hash is not a part: no part is from a higher seq, so it is the value of the field seq.
const topField = "top"

// text is a part in Redis: lines, which JSON has none of inside: the seq, then each value. Its methods
// append a value.
type text []byte

func newText(out []byte, seq int64) text { return strconv.AppendInt(out, seq, 10) }

func (t text) string(s string) text {
	quoted, _ := json.Marshal(s) // a string always can
	return append(append(t, '\n'), quoted...)
}

func (t text) number(n int64) text { return strconv.AppendInt(append(t, '\n'), n, 10) }

// said is what the events of a batch say of one row: the latest part of each combination of fields.
type said []part

// add reads one event; the texts of its parts are appended to out. A payload that is not what its type says
// adds nothing: the event is shown in the timeline as it is, and the groups that need the payload report it.
func (s *said) add(out []byte, e events.Event, seq int64) []byte {
	at := e.Timestamp.UTC().Format(time.RFC3339Nano)
	names, t := "updated_at", newText(out, seq).string(at)
	if tenant := e.Metadata[events.MetadataTenant]; tenant != "" {
		names, t = "updated_at,tenant", t.string(tenant)
	}
	s.set(names, seq, t[len(out):])
	out = t
	if names, t = says(e, at, newText(out, seq)); names != "" {
		s.set(names, seq, t[len(out):])
		out = t
	}
	return out
}

func (s *said) set(names string, seq int64, t text) {
	for i, had := range *s {
		if had.names == names {
			if had.seq < seq {
				(*s)[i] = part{names, seq, t}
			}
			return
		}
	}
	*s = append(*s, part{names, seq, t})
}

// says appends the values that only events of this type have, and names them, with commas between.
func says(e events.Event, at string, t text) (string, text) {
	switch e.Type {
	case events.WorkflowCreated:
		if p, err := events.PayloadOf[events.WorkflowCreatedData](e); err == nil {
			return "name,state,created_at,percent", t.string(p.Name).string("created").string(at).number(0)
		}
	case events.WorkflowStarted:
		if p, err := events.PayloadOf[events.WorkflowStartedData](e); err == nil {
			return "state,stage,started_at", t.string("running").string(string(p.Stage)).string(at)
		}
	case events.WorkflowProgressed:
		if p, err := events.PayloadOf[events.WorkflowProgressedData](e); err == nil {
			return "state,stage,percent,attempt,message", t.string("running").string(string(p.Stage)).
				number(int64(p.Percent)).number(int64(p.Attempt)).string(p.Message)
		}
	case events.WorkflowCompleted:
		if p, err := events.PayloadOf[events.WorkflowCompletedData](e); err == nil {
			return "percent," + end, t.number(100).end("completed", "", "", p.DurationMS, at)
		}
	case events.WorkflowFailed:
		if p, err := events.PayloadOf[events.WorkflowFailedData](e); err == nil {
			return "stage," + end, t.string(string(p.Stage)).end("failed", p.Code, p.Reason, p.DurationMS, at)
		}
	case events.WorkflowCancelled:
		if p, err := events.PayloadOf[events.WorkflowCancelledData](e); err == nil {
			return end, t.end("cancelled", "", p.Reason, p.DurationMS, at)
		}
	}
	for _, stage := range events.Stages() {
		switch e.Type {
		case stage.Started():
			return string(stage), t.string("running")
		case stage.Done():
			return string(stage), t.string("done")
		case stage.Failed():
			return string(stage), t.string("failed")
		}
	}
	return "", t
}

// end names what [text.end] appends.
const end = "state,code,reason,duration_ms,finished_at"

func (t text) end(state, code, reason string, durationMS int64, at string) text {
	return t.string(state).string(code).string(reason).number(durationMS).string(at)
}

// rowOf puts the parts of a row together, as JSON. It reads rows of earlier versions too: there each field
// is a part of its own, and a space comes before its value.
func rowOf(workflowID string, parts map[string]string) (json.RawMessage, error) {
	row := map[string]any{"workflow_id": workflowID}
	from := make(map[string]int64, 20)
	for names, text := range parts {
		number, values := text, text
		if cut := strings.IndexAny(text, "\n "); cut > 0 {
			number, values = text[:cut], text[cut+1:]
		}
		if names == topField {
			names = "seq"
		}
		seq, err := strconv.ParseInt(number, 10, 64)
		fields, value := strings.Split(names, ","), strings.Split(values, "\n")
		if err != nil || len(fields) != len(value) {
			return nil, fmt.Errorf("row of %s: part %s is %q", workflowID, names, text)
		}
		for i, field := range fields {
			if from[field] < seq {
				from[field], row[field] = seq, json.RawMessage(value[i])
			}
		}
	}
	raw, err := json.Marshal(row)
	if err != nil {
		return nil, fmt.Errorf("row of %s: %w", workflowID, err)
	}
	return raw, nil
}
