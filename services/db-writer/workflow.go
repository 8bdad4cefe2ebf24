package main

import (
	"time"

	"agentbus/pkg/events"
)

// State of a workflow, as in the column.
const (
	created   = "created"
	running   = "running"
	completed = "completed"
	failed    = "failed"
	cancelled = "cancelled"
)

// workflowChange is what one event, or several of one workflow, say of it. The zero value of a field
// says nothing. An event speaks of some columns only, so each group of columns that change together is
// guarded by the seq it was taken from.
type workflowChange struct {
	name                 *string
	createdAt, startedAt *time.Time

	stateSeq     int64
	state        string
	finishedAt   *time.Time
	code, reason *string
	artifacts    []byte // JSON

	stageSeq int64
	stage    *string

	progressSeq int64
	percent     int
	attempt     *int64
	message     *string
}

// changeOf reads a change out of one event; nil when its type says nothing of the workflow but that it
// was there. The error is a *[events.FieldError].
func changeOf(e events.Event, seq int64) (*workflowChange, error) {
	c := &workflowChange{}
	switch e.Type {
	case events.WorkflowCreated:
		p, err := events.PayloadOf[events.WorkflowCreatedData](e)
		if err != nil {
			return nil, err
		}
		c.name, c.createdAt = &p.Name, new(e.Timestamp)
		c.stateSeq, c.state = seq, created
	case events.WorkflowStarted:
		p, err := events.PayloadOf[events.WorkflowStartedData](e)
		if err != nil {
			return nil, err
		}
		c.startedAt = new(e.Timestamp)
		c.stateSeq, c.state = seq, running
		c.progressSeq = seq // at 0 percent
		c.stageSeq, c.stage = seq, text(string(p.Stage))
	case events.WorkflowProgressed:
		p, err := events.PayloadOf[events.WorkflowProgressedData](e)
		if err != nil {
			return nil, err
		}
		c.stateSeq, c.state = seq, running
		c.stageSeq, c.stage = seq, text(string(p.Stage))
		c.progressSeq, c.percent, c.message = seq, p.Percent, text(p.Message)
		if p.Attempt > 0 {
			c.attempt = new(int64(p.Attempt))
		}
	case events.WorkflowCompleted:
		p, err := events.PayloadOf[events.WorkflowCompletedData](e)
		if err != nil {
			return nil, err
		}
		c.stateSeq, c.state, c.finishedAt = seq, completed, new(e.Timestamp)
		c.progressSeq, c.percent = seq, 100
		c.artifacts, err = jsonOf(p.Artifacts, len(p.Artifacts))
		return c, err
	case events.WorkflowFailed:
		p, err := events.PayloadOf[events.WorkflowFailedData](e)
		if err != nil {
			return nil, err
		}
		c.stateSeq, c.state, c.finishedAt = seq, failed, new(e.Timestamp)
		c.code, c.reason = &p.Code, &p.Reason
		c.stageSeq, c.stage = seq, text(string(p.Stage))
	case events.WorkflowCancelled:
		p, err := events.PayloadOf[events.WorkflowCancelledData](e)
		if err != nil {
			return nil, err
		}
		c.stateSeq, c.state, c.finishedAt = seq, cancelled, new(e.Timestamp)
		c.reason = &p.Reason
		if p.Stage != "" {
			c.stageSeq, c.stage = seq, text(string(p.Stage))
		}
	default:
		return nil, nil
	}
	return c, nil
}

// merge adds what n says. The order of calls does not matter.
func (c *workflowChange) merge(n *workflowChange) {
	if n.name != nil {
		c.name = n.name
	}
	if n.createdAt != nil {
		c.createdAt = n.createdAt
	}
	if n.startedAt != nil {
		c.startedAt = n.startedAt
	}
	if n.stateSeq > c.stateSeq {
		c.stateSeq, c.state, c.finishedAt = n.stateSeq, n.state, n.finishedAt
		c.code, c.reason, c.artifacts = n.code, n.reason, n.artifacts
	}
	if n.stageSeq > c.stageSeq {
		c.stageSeq, c.stage = n.stageSeq, n.stage
	}
	if n.progressSeq > c.progressSeq {
		c.progressSeq, c.percent, c.attempt, c.message = n.progressSeq, n.percent, n.attempt, n.message
	}
}

// text is s as a column's value; "" is NULL.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
