package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// byReflection is an event that says the same, but in a way that [read] leaves to encoding/json: it has a
// key that is none of ours, and with an escape.
func byReflection(e events.Event) events.Event {
	rest := bytes.TrimSpace(e.Data[1:])
	between := `,`
	if rest[0] == '}' {
		between = ``
	}
	e.Data = append([]byte(`{"\u0040":0`+between), rest...)
	return e
}

// same compares what the two ways read, errors included.
func same(t *testing.T, e events.Event) {
	t.Helper()
	got, gotErr := newRow(0, consumer.Message{Event: e, Seq: 7})
	want, wantErr := newRow(0, consumer.Message{Event: byReflection(e), Seq: 7})
	if (gotErr == nil) != (wantErr == nil) || gotErr != nil && gotErr.Error() != wantErr.Error() {
		t.Fatalf("%s %s: %v, encoding/json says %v", e.Type, e.Data, gotErr, wantErr)
	}
	want.event = got.event
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s %s: %+v, encoding/json reads %+v", e.Type, e.Data, got, want)
	}
}

// TestOrdinaryPayloadsNeedNoReflection: every key of the catalogue's examples is one that [read] knows.
// Not parallel: allocations are counted.
func TestOrdinaryPayloadsNeedNoReflection(t *testing.T) {
	all, err := types()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range all {
		spec, _ := events.SpecOf(typ)
		e, err := events.New(typ, "wf-1", "tester", spec.Example)
		if err != nil {
			t.Fatal(err)
		}
		same(t, e)
		few := testing.AllocsPerRun(10, func() { _, _ = newRow(0, consumer.Message{Event: e}) })
		many := testing.AllocsPerRun(10, func() { _, _ = newRow(0, consumer.Message{Event: byReflection(e)}) })
		if few >= many-2 { // the clone makes one or two
			t.Errorf("%s is read by reflection: %v allocations, %v", typ, few, many)
		}
	}
}

func FuzzPayload(f *testing.F) {
	all, err := types()
	if err != nil {
		f.Fatal(err)
	}
	for i, typ := range all {
		spec, _ := events.SpecOf(typ)
		raw, err := json.Marshal(spec.Example)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, string(raw))
	}
	for _, data := range []string{
		`{}`, ` { } `, `{"percent":40,"stage":"audit","stage_percent":0,"message":"\"x\" \u00e9"}`, `{"percent": -0 , "stage" : "audit"}`,
		`{"Percent":40,"stage":"audit"}`, `{"percent":4e1,"stage":"audit"}`, `{"percent":null,"stage":"audit"}`, `{"percent":"40"}`,
		`{"percent":40,"stage":"audit","attempt":9223372036854775808}`, `{"percent":1,"stage":"audit","other":{"percent":[2,{"}":"]"}]}}`,
	} {
		f.Add(2, data)
	}
	for _, data := range []string{
		`{"correlation_id":"7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10","attempt":1,"duration_ms":5,"summary":null,"artifacts":null}`,
		`{"correlation_id":"7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10","attempt":1,"duration_ms":5,"summary":[1],"code":"c","reason":"r","retryable":true}`,
		`{"correlation_id":"7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10","attempt":1,"duration_ms":5,"code":"c","reason":"r","retryable":1}`,
		`{"correlation_id":"7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10","attempt":1,"duration_ms":5,"artifacts":[{"name":"a","size":"4"}]}`,
	} {
		f.Add(6, data)
		f.Add(7, data)
	}
	f.Fuzz(func(t *testing.T, i int, data string) {
		e := course(t, "wf-1")[0].Event
		e.Type = all[uint(i)%uint(len(all))]
		e.Data = json.RawMessage(`{}`)
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if e, err = events.Decode(bytes.Replace(raw, []byte(`"data":{}`), []byte(`"data":`+data), 1)); err != nil {
			return // the bus refuses it
		}
		same(t, e)
	})
}
