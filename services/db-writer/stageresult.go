package main

import (
	"time"

	"github.com/google/uuid"

	"agentbus/pkg/events"
)

// stageKey is one try of one stage of one workflow.
type stageKey struct {
	workflowID string
	stage      string
	attempt    int64
}

// stageResult is how that try ended.
type stageResult struct {
	stageKey
	outcome, source    string
	code, reason       *string
	retryable          bool
	durationMS         int64
	summary, artifacts *string // JSON
	correlation        uuid.UUID
	finishedAt         time.Time
	seq                int64
}

// stageResultOf reads the result out of an event that ends a stage; nil for any other. The error is a
// *[events.FieldError].
func stageResultOf(e events.Event, seq int64) (*stageResult, error) {
	for _, s := range events.Stages() {
		var (
			r   = stageResult{stageKey: stageKey{workflowID: e.WorkflowID, stage: string(s)}, source: e.SourceAgent, finishedAt: e.Timestamp, seq: seq}
			err error
			id  string
			raw []byte
			art []events.Artifact
		)
		switch e.Type {
		case s.Done():
			var p *events.StageDoneData
			if p, err = events.PayloadOf[events.StageDoneData](e); err != nil {
				return nil, err
			}
			r.outcome, r.attempt, r.durationMS = completed, int64(p.Attempt), p.DurationMS
			id, raw, art = p.CorrelationID, p.Summary, p.Artifacts
		case s.Failed():
			var p *events.StageFailedData
			if p, err = events.PayloadOf[events.StageFailedData](e); err != nil {
				return nil, err
			}
			r.outcome, r.attempt, r.durationMS = failed, int64(p.Attempt), p.DurationMS
			r.code, r.reason, r.retryable = &p.Code, &p.Reason, p.Retryable
			id, raw, art = p.CorrelationID, p.Summary, p.Artifacts
		default:
			continue
		}
		r.summary = text(string(raw))
		if r.correlation, err = uuid.Parse(id); err != nil {
			return nil, err
		}
		r.artifacts, err = jsonText(art, len(art))
		return &r, err
	}
	return nil, nil
}
