package main

import (
	"testing"

	"agentbus/deploy/agentctl/coordinator"
	"agentbus/pkg/events"
)

func TestBoardFollowsEvents(t *testing.T) {
	var b board
	w := coordinator.Workflow{ID: "wf-1", State: "running"}
	for _, s := range events.Stages() {
		w.Stages = append(w.Stages, coordinator.Stage{Name: string(s), State: "pending"})
	}
	b.look(w)
	apply := func(typ events.Type, payload events.Payload) {
		t.Helper()
		e, err := events.New(typ, "wf-1", "test", payload)
		if err != nil {
			t.Fatal(err)
		}
		b.apply(e)
	}
	const correlation = "8f14e45f-ceea-467f-9575-1f5d5f6f2a10"
	progress := func(percent, attempt int) {
		apply(events.WorkflowProgressed, &events.WorkflowProgressedData{Stage: events.Generation, StagePercent: percent, Attempt: attempt, Message: "at it"})
	}
	row := &b.stages[0]

	apply(events.GenerationStarted, &events.StageStartedData{CorrelationID: correlation, Attempt: 1, Worker: "g-1"})
	progress(60, 1)
	progress(40, 1)
	if row.state != "running" || row.percent != 60 || row.started.IsZero() {
		t.Errorf("progress went back: %+v", *row)
	}
	progress(10, 2)
	if row.percent != 10 || row.attempt != 2 {
		t.Errorf("another try begins anew: %+v", *row)
	}
	apply(events.GenerationCompleted, &events.StageDoneData{CorrelationID: correlation, Attempt: 2})
	progress(50, 2) // overtaken on its way
	if row.state != "completed" || row.percent != 100 {
		t.Errorf("a stage that is over was moved: %+v", *row)
	}
	apply(events.AuditStarted, &events.StageStartedData{CorrelationID: correlation, Attempt: 1, Worker: "a-1"})
	apply(events.WorkflowFailed, &events.WorkflowFailedData{Stage: events.Audit, Code: "findings", Reason: "a key"})
	if b.stages[1].state != "failed" || b.stages[1].message != "a key" || b.stages[2].state != "pending" || !b.final() {
		t.Errorf("after the failure: %+v", b)
	}
}
