package main

import (
	"time"

	"agentbus/deploy/agentctl/coordinator"
	"agentbus/pkg/events"
)

// board is what is shown of a workflow while it runs. Live events move it, and so does a look at the
// API: neither moves it back.
type board struct {
	id, name string
	state    string
	stages   []stageRow
}

// stageRow is one line of it.
type stageRow struct {
	name, state    string // pending, running, completed, failed, cancelled
	percent        int
	attempt        int
	message        string
	started, ended time.Time
}

func (r *stageRow) over() bool {
	return r.state == "completed" || r.state == "failed" || r.state == "cancelled"
}

// elapsed is how long the stage took, or takes so far.
func (r *stageRow) elapsed(now time.Time) time.Duration {
	switch {
	case r.started.IsZero():
		return 0
	case r.ended.IsZero():
		return max(now.Sub(r.started), 0)
	}
	return max(r.ended.Sub(r.started), 0)
}

// look takes over a view of the API.
func (b *board) look(w coordinator.Workflow) {
	b.id, b.name, b.state = w.ID, w.Name, w.State
	if b.stages == nil {
		b.stages = make([]stageRow, len(w.Stages))
	}
	for i, s := range w.Stages[:min(len(w.Stages), len(b.stages))] {
		r := &b.stages[i]
		r.name, r.state, r.percent, r.attempt, r.message = s.Name, s.State, s.Percent, s.Attempt, s.Message
		if s.Reason != "" {
			r.message = s.Reason
		}
		if s.StartedAt != nil {
			r.started = *s.StartedAt
		}
		if s.FinishedAt != nil {
			r.ended = *s.FinishedAt
		}
	}
}

// apply takes in a live event. A payload that is not what its type says changes nothing.
func (b *board) apply(e events.Event) {
	switch e.Type {
	case events.WorkflowProgressed:
		if p, err := events.PayloadOf[events.WorkflowProgressedData](e); err == nil {
			r := b.row(p.Stage)
			if r == nil || r.over() {
				return
			}
			r.state, r.message = "running", p.Message
			if p.Attempt != r.attempt { // another try begins anew
				r.percent, r.attempt = 0, p.Attempt
			}
			r.percent = max(r.percent, p.StagePercent)
		}
	case events.WorkflowCompleted:
		b.end("completed", e.Timestamp)
	case events.WorkflowFailed:
		if p, err := events.PayloadOf[events.WorkflowFailedData](e); err == nil {
			if r := b.row(p.Stage); r != nil {
				r.message = p.Reason
			}
		}
		b.end("failed", e.Timestamp)
	case events.WorkflowCancelled:
		if p, err := events.PayloadOf[events.WorkflowCancelledData](e); err == nil {
			if r := b.row(p.Stage); r != nil {
				r.message = p.Reason
			}
		}
		b.end("cancelled", e.Timestamp)
	default:
		b.applyStage(e)
	}
}

func (b *board) applyStage(e events.Event) {
	for _, stage := range events.Stages() {
		r := b.row(stage)
		if r == nil || r.over() {
			continue
		}
		switch e.Type {
		case stage.Started():
			if r.state, r.message = "running", "started"; r.started.IsZero() {
				r.started = e.Timestamp
			}
		case stage.Done():
			r.state, r.percent, r.message, r.ended = "completed", 100, "done", e.Timestamp
		}
	}
}

// end closes what was at work.
func (b *board) end(state string, at time.Time) {
	b.state = state
	for i := range b.stages {
		if r := &b.stages[i]; r.state == "running" {
			r.state, r.ended = state, at
		}
	}
}

func (b *board) row(stage events.Stage) *stageRow {
	for i := range b.stages {
		if b.stages[i].name == string(stage) {
			return &b.stages[i]
		}
	}
	return nil
}

func (b *board) final() bool {
	return b.state == "completed" || b.state == "failed" || b.state == "cancelled"
}
