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
	artifacts              []byte // JSON
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
	if end.outcome == failed {
		p, err := events.PayloadOf[events.StageFailedData](e)
		if err != nil {
			return nil, err
		}
		r.StageFailedData = *p
	} else {
		p, err := events.PayloadOf[events.StageDoneData](e)
		if err != nil {
			return nil, err
		}
		r.StageFailedData = events.StageFailedData{
			CorrelationID: p.CorrelationID, Attempt: p.Attempt, DurationMS: p.DurationMS, Artifacts: p.Artifacts, Summary: p.Summary,
		}
	}
	id, err := uuid.Parse(r.CorrelationID)
	if err != nil {
		return nil, err
	}
	r.correlation = pgtype.UUID{Bytes: id, Valid: true}
	r.artifacts, err = jsonOf(r.Artifacts, len(r.Artifacts))
	return r, err
}
