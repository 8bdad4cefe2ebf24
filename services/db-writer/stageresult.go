package main

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"agentbus/pkg/events"
)

// stageKey is one try of one stage of one workflow.
type stageKey struct {
	workflowID string
	stage      string
	attempt    int
}

// stageResult is how that try ended.
type stageResult struct {
	ending
	events.StageFailedData // a success has no code, no reason and is not retryable
	correlation            pgtype.UUID
	artifacts              *string // JSON
}

// ending is what the type of an event says that ends a stage.
type ending struct {
	stage, outcome string
}

// endings are by type, since a stage puts its types' names together anew each time.
var endings = func() map[events.Type]ending {
	m := map[events.Type]ending{}
	for _, s := range events.Stages() {
		m[s.Done()], m[s.Failed()] = ending{string(s), completed}, ending{string(s), failed}
	}
	return m
}()

// stageResultOf reads the result out of an event that ends a stage; nil for any other. The error is a
// *[events.FieldError].
func stageResultOf(e events.Event) (*stageResult, error) {
	end, ok := endings[e.Type]
	if !ok {
		return nil, nil
	}
	r := &stageResult{ending: end}
	p := &r.StageFailedData
	var err error
	if end.outcome == failed {
		err = read(e, p, field{"correlation_id", &p.CorrelationID}, field{"attempt", &p.Attempt},
			field{"duration_ms", &p.DurationMS}, field{"code", &p.Code}, field{"reason", &p.Reason},
			field{"retryable", &p.Retryable}, field{"artifacts", &p.Artifacts}, field{"summary", &p.Summary})
	} else {
		var done events.StageDoneData
		err = read(e, &done, field{"correlation_id", &done.CorrelationID}, field{"attempt", &done.Attempt},
			field{"duration_ms", &done.DurationMS}, field{"artifacts", &done.Artifacts}, field{"summary", &done.Summary})
		p.CorrelationID, p.Attempt, p.DurationMS, p.Artifacts, p.Summary = done.CorrelationID, done.Attempt, done.DurationMS, done.Artifacts, done.Summary
	}
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(p.CorrelationID)
	if err != nil {
		return nil, err
	}
	r.correlation = pgtype.UUID{Bytes: id, Valid: true}
	r.artifacts, err = jsonText(p.Artifacts, len(p.Artifacts))
	return r, err
}
