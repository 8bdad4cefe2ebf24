package workload

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"agentbus/pkg/events"
)

// Event is one event of a run, for publishers that take the vocabulary's form.
type Event struct {
	N     int // number in the run, from 0
	Event events.Event
}

// JSON is its wire form.
func (e Event) JSON() []byte {
	raw, err := json.Marshal(e.Event)
	if err != nil {
		panic(err) // made of constants
	}
	return raw
}

// source makes the events of a run.
type source struct {
	run       string // 8 hex digits, so that no run repeats another's ids
	workflows []string
	data      []json.RawMessage // by type, in the catalogue's order
	types     []events.Type
}

// newSource is of these types, of all when none is given.
func newSource(workflows int, types ...events.Type) *source {
	s := &source{run: fmt.Sprintf("%08x", uint32(time.Now().UnixNano()/1000))} //nolint:gosec // any 32 bits do
	for i := range workflows {
		s.workflows = append(s.workflows, s.prefix()+strconv.Itoa(i))
	}
	for _, spec := range events.Catalogue() {
		if len(types) > 0 && !slices.Contains(types, spec.Type) {
			continue
		}
		s.types = append(s.types, spec.Type)
		s.data = append(s.data, payload(spec.Type))
	}
	return s
}

func (s *source) prefix() string { return "bench-" + s.run + "-" }

// event is the n-th: types take turns, and each workflow sees all of them.
func (s *source) event(n int) Event {
	of := n % len(s.types)
	return Event{n, events.Event{
		ID: s.run + "-0000-4000-8000-" + fmt.Sprintf("%012x", n), Type: s.types[of],
		WorkflowID: s.workflows[(n/len(s.types)+of)%len(s.workflows)],
		Timestamp:  time.Now().UTC().Truncate(time.Microsecond), Data: s.data[of], SourceAgent: "bench",
		Metadata: metadata,
	}}
}

// metadata is that of every event; nobody changes it.
var metadata = map[string]string{events.MetadataTenant: "team-payments-europe"}

// Source makes the events of a run, by number: of these types, of all when none is given.
func Source(workflows int, types ...events.Type) func(n int) Event {
	return newSource(workflows, types...).event
}

// idAt is where an event's id begins in its wire form.
const idAt = len(`{"id":"`)

// Number is the event's number in the run by its id, -1 when it is of another run's making.
func Number(id string) int {
	if len(id) < 36 {
		return -1
	}
	n, err := strconv.ParseInt(id[24:36], 16, 64)
	if err != nil {
		return -1
	}
	return int(n)
}

// NumberIn is [Number] of an event in its wire form, which is not decoded.
func NumberIn(raw string) int {
	if len(raw) < idAt+36 {
		return -1
	}
	return Number(raw[idAt : idAt+36])
}

// payload is valid data of the type, sized so that the whole event has about 350 bytes.
func payload(t events.Type) json.RawMessage {
	const correlation = "7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10"
	const name = "a workflow of the benchmark, with a name that somebody might give"
	var p any
	stage, _, _ := strings.Cut(string(t), ".")
	switch {
	case t == events.WorkflowCreated:
		p = events.WorkflowCreatedData{Name: name, Stages: events.Stages()}
	case t == events.WorkflowStarted:
		p = events.WorkflowStartedData{Stage: events.Generation}
	case t == events.WorkflowProgressed:
		p = events.WorkflowProgressedData{Percent: 40, Stage: events.Audit, StagePercent: 60, Attempt: 1, Message: "37 of 61 files are read, no finding so far"}
	case t == events.WorkflowCompleted:
		p = events.WorkflowCompletedData{DurationMS: 4210}
	case t == events.WorkflowFailed:
		p = events.WorkflowFailedData{Stage: events.Testing, Code: "tests_failed", Reason: "2 of 61 tests failed: TestGreets, TestRefuses", DurationMS: 4210}
	case t == events.WorkflowCancelled:
		p = events.WorkflowCancelledData{Stage: events.Testing, Reason: "cancelled by its owner", DurationMS: 4210}
	case t == events.A2ARequest:
		p = events.A2ARequestData{CorrelationID: correlation, From: events.Coordinator, To: events.Audit.Agent(), Stage: events.Audit,
			Attempt: 1, Deadline: time.Date(2030, 1, 2, 3, 14, 5, 0, time.UTC)}
	case t == events.A2AResponse:
		p = events.A2AResponseData{CorrelationID: correlation, From: events.Audit.Agent(), To: events.Coordinator, Stage: events.Audit,
			Attempt: 1, Status: events.A2AProgress, Percent: 60}
	case strings.HasSuffix(string(t), ".started"):
		p = events.StageStartedData{CorrelationID: correlation, Attempt: 1, Worker: stage + "-agent-5d9f7c6b8-x2x7q"}
	case strings.HasSuffix(string(t), ".failed"):
		p = events.StageFailedData{CorrelationID: correlation, Attempt: 1, DurationMS: 930, Code: "timeout", Reason: "the tool ran longer than 2m0s", Retryable: true}
	default:
		p = events.StageDoneData{CorrelationID: correlation, Attempt: 1, DurationMS: 1480, Summary: json.RawMessage(`{"files":61,"findings":{"high":0,"medium":1}}`)}
	}
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // made of constants
	}
	return raw
}
