package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/services/log-aggregator/redact"
)

// line is one event as it is logged; the order of the fields is that of the text.
type line struct {
	Time        time.Time         `json:"time"` // of the event, by its producer's clock
	Seq         int64             `json:"seq"`
	Type        events.Type       `json:"type"`
	WorkflowID  string            `json:"workflow_id"`
	SourceAgent string            `json:"source_agent"`
	EventID     string            `json:"event_id"`
	Data        json.RawMessage   `json:"data"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// reference is the line by encoding/json.
func reference(m consumer.Message, r *redact.Redactor) (string, error) {
	e := m.Event
	data, err := r.JSON(e.Data)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err = enc.Encode(line{
		Time: e.Timestamp, Seq: m.Seq, Type: e.Type, WorkflowID: e.WorkflowID, SourceAgent: e.SourceAgent,
		EventID: e.ID, Data: data, Metadata: r.Strings(e.Metadata),
	})
	return out.String(), err
}

// FuzzLine: the line by hand is that of encoding/json to the byte, and refused when that is.
func FuzzLine(f *testing.F) {
	for _, spec := range events.Catalogue() {
		data, err := json.Marshal(spec.Example)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(int64(1), string(spec.Type), "wf-1", "tenant", "team-a", string(data), int64(1_767_323_045), int64(678_901_000), 0)
	}
	const year10000, day = 253_402_300_800, 24 * 60 * 60
	for _, odd := range []string{"", `"`, `\`, "<b>&amp;</b>", `"<b>" & co`, "\x00\x1f\t\r\n", "\x7f", "é", "\u2028\u2029", "\xff\xfe", "Bearer 0123456789"} {
		quoted, _ := json.Marshal(odd)
		f.Add(int64(-1), odd, odd, odd, odd, ` { "a" : [ 1 , `+string(quoted)+` ] } `, int64(0), int64(0), 3600)
		f.Add(int64(0), odd, odd, "x-token", odd, `{"a":"`+odd+`"}`, int64(year10000), int64(1), -day)
	}
	for _, data := range []string{"", "{", `{}{}`, `{"token":"x"}x`, `{"token":"<\u2028/>"}`, "null"} {
		f.Add(int64(2), "t", "w", "k", "v", data, int64(0), int64(999_999_999), day)
	}
	r := redact.New([]string{"token", "authorization"})
	f.Fuzz(func(t *testing.T, seq int64, typ, workflow, key, value, data string, sec, nsec int64, offset int) {
		m := consumer.Message{Seq: seq, Event: events.Event{
			ID: value, Type: events.Type(typ), WorkflowID: workflow, SourceAgent: key, Data: json.RawMessage(data),
			Timestamp: time.Unix(sec, nsec).In(time.FixedZone("", offset)), Metadata: map[string]string{"tenant": "a", key: value},
		}}
		if key == "" {
			m.Event.Metadata = nil
		}
		const before = "the line before\n"
		got, err := appendLine([]byte(before), &m, r)
		want, wantErr := reference(m, r)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("error %v, encoding/json has %v", err, wantErr)
		}
		if err != nil {
			want = ""
		}
		if diff := cmp.Diff(before+want, string(got)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestBadDataLeavesNoTrace: an event that cannot be a line goes to the dead letters, and its batch is written.
func TestBadDataLeavesNoTrace(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	a := aggregator1(&sink{name: "out", out: &out})
	bad := message(2, `{"a":1`)
	outcome := a.handle(t.Context(), []consumer.Message{message(1, `{"a":1}`), bad, message(3, `{"a":3}`)})
	if outcome[0] != nil || fmt.Sprintf("%T", outcome[1]) != fmt.Sprintf("%T", consumer.Permanent(errFull)) || outcome[2] != nil {
		t.Errorf("outcome %v, want the second alone to fail for good", outcome)
	}
	if got := out.String(); strings.Count(got, "\n") != 2 || strings.Contains(got, bad.Event.ID) {
		t.Errorf("written was %s", got)
	}
}
