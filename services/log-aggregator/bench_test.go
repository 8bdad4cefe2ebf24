package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/services/log-aggregator/redact"
)

// BenchmarkHandle logs events of about 350 bytes, such as the bench's, in batches of the bus's usual
// size under load, with the names a service redacts by default. One op is one event.
func BenchmarkHandle(b *testing.B) {
	const correlation = `"correlation_id":"7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10"`
	payloads := []struct {
		typ  events.Type
		data string
	}{
		{events.WorkflowCreated, `{"name":"a workflow of the benchmark, with a name that somebody might give","stages":["generation","audit","testing","deployment"]}`},
		{events.WorkflowProgressed, `{"percent":40,"stage":"audit","stage_percent":60,"attempt":1,"message":"37 of 61 files are read, no finding so far"}`},
		{events.WorkflowFailed, `{"stage":"testing","code":"tests_failed","reason":"2 of 61 tests failed: TestGreets, TestRefuses","duration_ms":4210}`},
		{events.A2ARequest, `{` + correlation + `,"from":"coordinator-agent","to":"audit-agent","stage":"audit","attempt":1,"deadline":"2030-01-02T03:14:05Z"}`},
		{events.A2AResponse, `{` + correlation + `,"from":"audit-agent","to":"coordinator-agent","stage":"audit","attempt":1,"status":"progress","percent":60}`},
		{"audit.started", `{` + correlation + `,"attempt":1,"worker":"audit-agent-5d9f7c6b8-x2x7q"}`},
		{"audit.failed", `{` + correlation + `,"attempt":1,"duration_ms":930,"code":"timeout","reason":"the tool ran longer than 2m0s","retryable":true}`},
		{"audit.completed", `{` + correlation + `,"attempt":1,"duration_ms":1480,"summary":{"files":61,"findings":{"high":0,"medium":1}}}`},
	}
	batch := make([]consumer.Message, 96)
	for i := range batch {
		p := payloads[i%len(payloads)]
		batch[i] = consumer.Message{Seq: int64(i), Event: events.Event{
			ID: fmt.Sprintf("0a1b2c3d-0000-4000-8000-%012x", i), Type: p.typ, WorkflowID: fmt.Sprintf("bench-0a1b2c3d-%d", i),
			Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC), SourceAgent: "bench", Data: json.RawMessage(p.data),
			Metadata: map[string]string{events.MetadataTenant: "team-payments-europe"},
		}}
	}
	a := aggregator1(&sink{name: "out", out: io.Discard})
	keys, _ := reflect.TypeFor[Config]().FieldByName("RedactKeys")
	a.redact = redact.New(strings.Split(keys.Tag.Get("default"), ","))
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += len(batch) {
		for _, err := range a.handle(b.Context(), batch) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
