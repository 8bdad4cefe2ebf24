package live

import (
	"time"

	"agentbus/pkg/events"
)

// said is what events say of a workflow's row in the list: each field with the number of the event it
// is from. The row takes the one with the highest number, so the order of writing does not matter.
//
// Fields: tenant, name, state (created, running, completed, failed, cancelled), stage, percent, attempt,
// message, code, reason, created_at, started_at, finished_at, updated_at, seq, and one for each stage
// (running, done, failed).
type said map[string]saidField

type saidField struct {
	value any
	seq   int64
}

func (s said) set(field string, value any, seq int64) {
	if had, ok := s[field]; !ok || had.seq < seq {
		s[field] = saidField{value, seq}
	}
}

// add reads one event. A payload that is not what its type says adds nothing: the event is shown in the
// timeline as it is, and the groups that need the payload report it.
func (s said) add(e events.Event, seq int64) {
	at := e.Timestamp.UTC().Format(time.RFC3339Nano)
	s.set("seq", seq, seq)
	s.set("updated_at", at, seq)
	if tenant := e.Metadata[events.MetadataTenant]; tenant != "" {
		s.set("tenant", tenant, seq)
	}
	set := func(field string, value any) { s.set(field, value, seq) }
	switch e.Type {
	case events.WorkflowCreated:
		if p, err := events.PayloadOf[events.WorkflowCreatedData](e); err == nil {
			set("name", p.Name)
			set("state", "created")
			set("created_at", at)
			set("percent", 0)
		}
	case events.WorkflowStarted:
		if p, err := events.PayloadOf[events.WorkflowStartedData](e); err == nil {
			set("state", "running")
			set("stage", p.Stage)
			set("started_at", at)
		}
	case events.WorkflowProgressed:
		if p, err := events.PayloadOf[events.WorkflowProgressedData](e); err == nil {
			set("state", "running")
			set("stage", p.Stage)
			set("percent", p.Percent)
			set("attempt", p.Attempt)
			set("message", p.Message)
		}
	case events.WorkflowCompleted:
		if p, err := events.PayloadOf[events.WorkflowCompletedData](e); err == nil {
			set("percent", 100)
			s.end("completed", "", "", p.DurationMS, at, seq)
		}
	case events.WorkflowFailed:
		if p, err := events.PayloadOf[events.WorkflowFailedData](e); err == nil {
			set("stage", p.Stage)
			s.end("failed", p.Code, p.Reason, p.DurationMS, at, seq)
		}
	case events.WorkflowCancelled:
		if p, err := events.PayloadOf[events.WorkflowCancelledData](e); err == nil {
			s.end("cancelled", "", p.Reason, p.DurationMS, at, seq)
		}
	}
	for _, stage := range events.Stages() {
		switch e.Type {
		case stage.Started():
			set(string(stage), "running")
		case stage.Done():
			set(string(stage), "done")
		case stage.Failed():
			set(string(stage), "failed")
		}
	}
}

func (s said) end(state, code, reason string, durationMS int64, at string, seq int64) {
	s.set("state", state, seq)
	s.set("code", code, seq)
	s.set("reason", reason, seq)
	s.set("duration_ms", durationMS, seq)
	s.set("finished_at", at, seq)
}
