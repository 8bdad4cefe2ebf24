package workload

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"agentbus/pkg/events"
)

// TestEventsAreWhatTheyClaim: valid, of all types, about 350 bytes, and known again by their number.
func TestEventsAreWhatTheyClaim(t *testing.T) {
	s := newSource(1000)
	size, types := 0, map[events.Type]bool{}
	const n = 2000
	for i := range n {
		e := s.event(i)
		raw := e.JSON()
		back, err := events.Decode(raw)
		if err != nil {
			t.Fatalf("%s: %v", e.Event.Type, err)
		}
		spec, _ := events.SpecOf(back.Type)
		data, _ := reflect.New(reflect.TypeOf(spec.Example).Elem()).Interface().(events.Payload)
		if err := json.Unmarshal(back.Data, data); err != nil {
			t.Fatalf("%s: %v", e.Event.Type, err)
		}
		if err := data.Validate(); err != nil {
			t.Fatalf("%s: %v", e.Event.Type, err)
		}
		if NumberIn(string(raw)) != i || Number(back.ID) != i {
			t.Fatalf("event %d is number %d by its text and %d by its id", i, NumberIn(string(raw)), Number(back.ID))
		}
		size += len(raw)
		types[back.Type] = true
	}
	if mean := size / n; mean < 330 || mean > 370 || len(types) != 20 {
		t.Errorf("%d bytes in the mean, want about 350; %d types, want 20", mean, len(types))
	}
}

// TestALoadOfOneType: each event is of it, and they are spread over the workflows.
func TestALoadOfOneType(t *testing.T) {
	next, workflows := Source(10, events.WorkflowStarted), map[string]bool{}
	for i := range 10 {
		e := next(i)
		if e.Event.Type != events.WorkflowStarted {
			t.Errorf("event %d is of type %s", i, e.Event.Type)
		}
		if _, err := events.Decode(e.JSON()); err != nil {
			t.Errorf("event %d: %v", i, err)
		}
		workflows[e.Event.WorkflowID] = true
	}
	if len(workflows) != 10 {
		t.Errorf("10 events are of %d workflows, want 10", len(workflows))
	}
}

func TestTrackerCountsEachEventOnce(t *testing.T) {
	tr := newTracker(newSource(10), 100, []Group{{Name: "all"}, {Name: "some", Wants: func(e events.Event) bool { return e.Type == events.WorkflowFailed }}})
	begun := time.Now()
	for i := range 40 { // two of each type
		tr.publishing(tr.source.event(i), begun.UnixNano())
		tr.HandledAt(0, i, begun.Add(3*time.Millisecond))
	}
	if behind := tr.behind(true); behind != 40 {
		t.Errorf("behind by %d; who has seen none of the 2 failed workflows is behind by all 40", behind)
	}
	for i := range 40 {
		if tr.source.event(i).Event.Type == events.WorkflowFailed {
			tr.HandledAt(1, i, begun.Add(time.Millisecond))
			tr.HandledAt(1, i, begun.Add(time.Millisecond))
		}
	}
	if tr.behind(true) != 0 || tr.groups[1].repeated != 2 {
		t.Errorf("behind by %d, %d repeated; want 0 and 2", tr.behind(true), tr.groups[1].repeated)
	}
	if l := latencyOf(tr.groups[0].took); l.P50 < 2.9 || l.P50 > 3.1 {
		t.Errorf("p50 is %v ms, want 3", l.P50)
	}
}
