package events

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// TestGolden pins the wire form of every type: a change here is a change for
// producers and consumers in other languages.
func TestGolden(t *testing.T) {
	for _, spec := range Catalogue() {
		e, err := New(spec.Type, "wf-1", "tester", spec.Example)
		if err != nil {
			t.Fatalf("%s: %v", spec.Type, err)
		}
		e.ID = "3f1e0c52-8f4f-4f0e-9a57-5c4d5f0a7b11"
		e.Timestamp = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
		e.Metadata = map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
		got, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "golden", string(spec.Type)+".json")
		if *update {
			if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
			t.Errorf("%s: wire form changed (-golden +now):\n%s", spec.Type, diff)
		}
		back, err := Decode(want)
		if err != nil {
			t.Fatalf("%s: %v", spec.Type, err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%s: decoded differs (-made +decoded):\n%s", spec.Type, diff)
		}
	}
}

// TestMarshalJSON: the unknown fields come last and in order, data is compact, and what is no JSON is refused.
func TestMarshalJSON(t *testing.T) {
	e := Event{
		ID: "i", Type: WorkflowStarted, WorkflowID: "w", SourceAgent: "s", Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Data: json.RawMessage(`{ "html" : "<b>&\u00e9" }`), Metadata: map[string]string{"b": "<é>", "a": "\"\n"},
		Extra: map[string]json.RawMessage{"y": json.RawMessage(`"<i>"`), "x": json.RawMessage(`[1]`)},
	}
	const want = `{"id":"i","type":"workflow.started","workflow_id":"w","timestamp":"2026-01-02T03:04:05Z","data":{"html":"<b>&\u00e9"},` +
		`"source_agent":"s","metadata":{"a":"\"\n","b":"<é>"},"x":[1],"y":"<i>"}`
	got, err := e.MarshalJSON()
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for _, data := range []json.RawMessage{nil, {}, json.RawMessage(`{"a":`), json.RawMessage(`{}{}`)} {
		e.Data = data
		var fe *FieldError
		if got, err := e.MarshalJSON(); !errors.As(err, &fe) || fe.Field != "data" {
			t.Errorf("data %q gave %s, %v; want a FieldError on data", data, got, err)
		}
	}
}

func TestDecodeKeepsUnknownFields(t *testing.T) {
	raw := wire(`"tenant":{"id":7}`)
	e, err := Decode([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), `"tenant":{"id":7}`) {
		t.Errorf("unknown field is gone: %s", out)
	}
}

func TestDecodeAcceptsTheConstantsName(t *testing.T) {
	e, err := Decode([]byte(strings.Replace(wire(""), "workflow.started", "WORKFLOW_STARTED", 1)))
	if err != nil || e.Type != WorkflowStarted {
		t.Errorf("got %q, %v; want workflow.started", e.Type, err)
	}
}

// wire is a good event with more members put in.
func wire(more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"id":"3f1e0c52-8f4f-4f0e-9a57-5c4d5f0a7b11","type":"workflow.started","workflow_id":"wf-1",` +
		`"timestamp":"2026-01-02T03:04:05.678Z","data":{"stage":"generation"},"source_agent":"tester"` + more + `}`
}

func TestDecodeNamesTheField(t *testing.T) {
	good := wire("")
	for name, tc := range map[string]struct{ raw, field, says string }{
		"not JSON":             {`{"id":`, "", "not valid JSON"},
		"an array":             {`[]`, "", "must be a JSON object"},
		"bad UTF-8":            {strings.Replace(good, "tester", "t\xffster", 1), "", "UTF-8"},
		"escaped NUL":          {strings.Replace(good, "generation", `gen\u0000`, 1), "", "NUL"},
		"too large":            {wire(`"pad":"` + strings.Repeat("x", MaxEventBytes) + `"`), "", "at most"},
		"too deep":             {wire(`"deep":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), "", "deeper"},
		"key twice":            {wire(`"id":"3f1e0c52-8f4f-4f0e-9a57-5c4d5f0a7b11"`), "id", "twice"},
		"key twice, escaped":   {wire(`"\u0069d":"x"`), "id", "twice"},
		"nested key twice":     {strings.Replace(good, `{"stage":"generation"}`, `{"a":{"b":1,"b":2}}`, 1), "b", "twice"},
		"key in another case":  {wire(`"Workflow_ID":"other"`), "Workflow_ID", `called "workflow_id"`},
		"id missing":           {strings.Replace(good, `"id":"3f1e0c52-8f4f-4f0e-9a57-5c4d5f0a7b11",`, "", 1), "id", "missing"},
		"id no UUID":           {strings.Replace(good, "3f1e0c52-", "zzzzzzzz-", 1), "id", "UUID"},
		"type unknown":         {strings.Replace(good, "workflow.started", "workflow.paused", 1), "type", "unknown event type"},
		"type a number":        {strings.Replace(good, `"workflow.started"`, "7", 1), "type", "is a number"},
		"workflow_id braces":   {strings.Replace(good, "wf-1", "wf{1}", 1), "workflow_id", "outside"},
		"workflow_id dots":     {strings.Replace(good, "wf-1", "..", 1), "workflow_id", "dots"},
		"timestamp wrong":      {strings.Replace(good, "2026-01-02T", "2026-13-02T", 1), "timestamp", "RFC 3339"},
		"data a string":        {strings.Replace(good, `{"stage":"generation"}`, `"x"`, 1), "data", "is a string"},
		"data missing":         {strings.Replace(good, `"data":{"stage":"generation"},`, "", 1), "data", "object"},
		"source missing":       {strings.Replace(good, `"source_agent":"tester"`, `"x":1`, 1), "source_agent", "missing"},
		"metadata not strings": {wire(`"metadata":{"a":1}`), "metadata.a", "must be a string"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(tc.raw))
			var fe *FieldError
			if !errors.As(err, &fe) {
				t.Fatalf("got %v; want a FieldError", err)
			}
			if fe.Field != tc.field || !strings.Contains(fe.Problem, tc.says) {
				t.Errorf("got field %q: %s; want field %q: ...%s...", fe.Field, fe.Problem, tc.field, tc.says)
			}
		})
	}
}

func TestPayloadOfNamesTheField(t *testing.T) {
	for name, tc := range map[string]struct{ data, field string }{
		"wrong type":   {`{"percent":"half","stage":"audit"}`, "data.percent"},
		"out of range": {`{"percent":140,"stage":"audit","stage_percent":1}`, "data.percent"},
		"bad stage":    {`{"percent":40,"stage":"lunch","stage_percent":1}`, "data.stage"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := PayloadOf[WorkflowProgressedData](Event{Type: WorkflowProgressed, Data: json.RawMessage(tc.data)})
			var fe *FieldError
			if !errors.As(err, &fe) || fe.Field != tc.field {
				t.Errorf("got %v; want a FieldError on %s", err, tc.field)
			}
		})
	}
	if _, err := PayloadOf[WorkflowProgressedData](Event{Type: WorkflowStarted, Data: json.RawMessage(`{}`)}); err == nil {
		t.Error("a payload of another type was accepted")
	}
}

func TestMatch(t *testing.T) {
	for pattern, want := range map[string]int{"*": 20, "workflow.*": 6, "*.completed": 4, "*.failed": 5, "a2a.*": 2, "AUDIT_STARTED": 1, "*.*": 20} {
		got, err := Match(pattern)
		if err != nil || len(got) != want {
			t.Errorf("%s: %d types, %v; want %d", pattern, len(got), err, want)
		}
	}
	got, err := Match("*.failed", "workflow.*", "workflow.failed")
	if err != nil || len(got) != 10 || got[0] != WorkflowCreated {
		t.Errorf("overlapping patterns gave %v, %v; want 10 types in catalogue order", got, err)
	}
	if _, err := Match("lunch.*"); err == nil {
		t.Error("a pattern without a match was accepted")
	}
}

func TestNaming(t *testing.T) {
	plain, parted := Naming{Prefix: "p:"}, Naming{Partitions: 8}
	if got := plain.Stream(WorkflowStarted, 0); got != "p:events:workflow.started" {
		t.Errorf("plain stream is %q", got)
	}
	part := parted.Partition("wf-1")
	for _, key := range []string{parted.Stream(AuditFailed, part), parted.Seqs(part), parted.Workflow("wf-1"), parted.Task("wf-1", Audit)} {
		if want := parted.Workflow("wf-1")[len("workflow:wf-1"):]; !strings.HasSuffix(key, want) {
			t.Errorf("%s is not in the workflow's slot %s", key, want)
		}
	}
}

// FuzzDecode: whatever comes, Decode answers; and what it accepts survives a
// round trip unchanged and is safe for encoding/json.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(wire("")))
	f.Add([]byte(wire(`"metadata":{"a":"b"},"x":[1,{"y":null}]`)))
	f.Add([]byte(`{"id":"\u0000"}`))
	f.Add([]byte(` { "a" : [ ] , "b":{"c":"\\"} }`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := Decode(raw)
		if err != nil {
			return
		}
		out, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("accepted but cannot be written: %v", err)
		}
		back, err := Decode(out)
		if err != nil {
			t.Fatalf("accepted, then refused: %v\n%s", err, out)
		}
		again, _ := json.Marshal(back)
		if string(again) != string(out) {
			t.Fatalf("round trip changed it:\n%s\n%s", out, again)
		}
	})
}

// FuzzDecodeList: a list is taken when it is a JSON array of events that Decode takes,
// and reads as they do.
func FuzzDecodeList(f *testing.F) {
	one := wire("")
	for _, text := range []string{"[" + one + "]", " [ " + one + " ,\n" + one + "] ", "[" + one + ",]", "[" + one, one, "[1]", "[]", "[" + one + "] x", "", "[" + one + "," + wire(`"x":[{}]`) + "]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got [][]byte
		err := DecodeList(text, func(e Event, raw []byte) error {
			alone, err := Decode(raw)
			if err != nil || !reflect.DeepEqual(alone, e) {
				t.Fatalf("%s is %+v in a list, alone %+v, %v", raw, e, alone, err)
			}
			got = append(got, raw)
			return nil
		})
		var want []json.RawMessage
		valid := json.Unmarshal([]byte(text), &want) == nil && want != nil && utf8.ValidString(text)
		if err == nil && (!valid || len(got) != len(want)) {
			t.Fatalf("%q is taken as %d events; encoding/json: %d, valid %v", text, len(got), len(want), valid)
		}
		if err != nil && valid && !slices.ContainsFunc(want, func(raw json.RawMessage) bool { _, err := Decode(raw); return err != nil }) {
			t.Fatalf("%q is refused: %v", text, err)
		}
	})
}

// FuzzScanner holds the scanner against encoding/json: the same grammar, but for what is refused on purpose.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{"", `{"a":[1,-0.5e+7,true,null,{"b":"\u00e4\n"}]}`, `{"a":01}`, `{"a":1,}`, `{"a":"\x"}`, `{} {}`, `{"a":"` + "\x01" + `"}`, `{"a":tru}`, `{"a":"\u12g4"}`, `{"a":-}`, `{"a":1.}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := scanner{text: text}
		err := s.document(func(member) error { return nil })
		valid := json.Valid([]byte(text)) && utf8.ValidString(text)
		if err == nil && !valid {
			t.Fatalf("%q is taken and is no JSON", text)
		}
		if err == nil || !valid {
			return
		}
		for _, purpose := range []string{"must be a JSON object", "is nested deeper", "stands twice", "NUL"} {
			if strings.Contains(err.Error(), purpose) {
				return
			}
		}
		t.Fatalf("%q is JSON and is refused: %v", text, err)
	})
}

func BenchmarkDecode(b *testing.B) {
	raw, err := os.ReadFile(filepath.Join("testdata", "golden", "testing.completed.json"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}
