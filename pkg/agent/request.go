package agent

import (
	"agentbus/pkg/events"
)

// maxReason bounds a reason in an event, in bytes.
const maxReason = 4 << 10

// record is what the agents of a stage remember of a workflow's request.
type record struct {
	CorrelationID string `json:"correlation_id"`
	Attempt       int    `json:"attempt"`
	Done          bool   `json:"done,omitempty"` // it was answered
}

// request is one that this member serves.
type request struct {
	events.A2ARequestData
	workflow string
	metadata map[string]string // travels on: the trace, for one
	agent    string            // e.g. audit-agent
	worker   string            // this member
	record   record
	rev      int64 // of the record
}

// accepted are the events that announce the work.
func (t *request) accepted() ([]events.Event, error) {
	return t.events(
		t.Stage.Started(), &events.StageStartedData{CorrelationID: t.CorrelationID, Attempt: t.Attempt, Worker: t.worker},
		t.response(events.A2AAccepted),
	)
}

// answers are the events that tell its outcome.
func (t *request) answers(out Outcome, f *Failure) ([]events.Event, error) {
	ms := out.Duration.Milliseconds()
	if f == nil {
		r := t.response(events.A2ASucceeded)
		r.Percent, r.Artifacts, r.Summary, r.DurationMS = 100, out.Artifacts, out.Summary, ms
		return t.events(t.Stage.Done(), &events.StageDoneData{
			CorrelationID: t.CorrelationID, Attempt: t.Attempt, DurationMS: ms, Artifacts: out.Artifacts, Summary: out.Summary,
		}, r)
	}
	reason := clip(Clean(f.Reason), maxReason)
	r := t.response(events.A2AFailed)
	if f.Code == CodeCancelled {
		r.Status = events.A2ACancelled
	}
	r.Code, r.Reason, r.Retryable, r.Artifacts, r.Summary, r.DurationMS = string(f.Code), reason, f.Retryable, out.Artifacts, out.Summary, ms
	return t.events(t.Stage.Failed(), &events.StageFailedData{
		CorrelationID: t.CorrelationID, Attempt: t.Attempt, DurationMS: ms, Code: string(f.Code), Reason: reason,
		Retryable: f.Retryable, Artifacts: out.Artifacts, Summary: out.Summary,
	}, r)
}

func (t *request) response(status events.A2AStatus) *events.A2AResponseData {
	return &events.A2AResponseData{
		CorrelationID: t.CorrelationID, From: t.agent, To: t.From, Stage: t.Stage, Attempt: t.Attempt, Status: status,
	}
}

// events are the stage's own and the response, in this order.
func (t *request) events(typ events.Type, data events.Payload, r *events.A2AResponseData) ([]events.Event, error) {
	own, err := events.New(typ, t.workflow, t.agent, data)
	if err != nil {
		return nil, err
	}
	response, err := events.New(events.A2AResponse, t.workflow, t.agent, r)
	own.Metadata, response.Metadata = t.metadata, t.metadata
	return []events.Event{own, response}, err
}
