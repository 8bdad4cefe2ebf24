package events

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Validate checks the payload of workflow.created.
func (p *WorkflowCreatedData) Validate() error {
	if len(p.Stages) == 0 {
		return fieldErrorf("data.stages", "is empty; name at least one stage")
	}
	for i, s := range p.Stages {
		if err := checkStage(fmt.Sprintf("data.stages[%d]", i), s); err != nil {
			return err
		}
	}
	return required("data.name", p.Name)
}

// Validate checks the payload of workflow.started.
func (p *WorkflowStartedData) Validate() error { return checkStage("data.stage", p.Stage) }

// Validate checks the payload of workflow.progressed.
func (p *WorkflowProgressedData) Validate() error {
	return firstOf(checkPercent("data.percent", p.Percent), checkStage("data.stage", p.Stage),
		checkPercent("data.stage_percent", p.StagePercent))
}

// Validate checks the payload of workflow.completed.
func (p *WorkflowCompletedData) Validate() error {
	return firstOf(checkDuration(p.DurationMS), checkArtifacts("data.artifacts", p.Artifacts))
}

// Validate checks the payload of workflow.failed.
func (p *WorkflowFailedData) Validate() error {
	return firstOf(checkStage("data.stage", p.Stage), required("data.code", p.Code),
		required("data.reason", p.Reason), checkDuration(p.DurationMS))
}

// Validate checks the payload of workflow.cancelled.
func (p *WorkflowCancelledData) Validate() error {
	if p.Stage != "" {
		if err := checkStage("data.stage", p.Stage); err != nil {
			return err
		}
	}
	return firstOf(required("data.reason", p.Reason), checkDuration(p.DurationMS))
}

// Validate checks the payload of a stage's started event.
func (p *StageStartedData) Validate() error {
	return firstOf(checkUUID("data.correlation_id", p.CorrelationID), checkAttempt(p.Attempt),
		required("data.worker", p.Worker))
}

// Validate checks the payload of a stage's completed or confirmed event.
func (p *StageDoneData) Validate() error {
	return firstOf(checkUUID("data.correlation_id", p.CorrelationID), checkAttempt(p.Attempt),
		checkDuration(p.DurationMS), checkArtifacts("data.artifacts", p.Artifacts), checkObject("data.summary", p.Summary))
}

// Validate checks the payload of a stage's failed event.
func (p *StageFailedData) Validate() error {
	return firstOf(checkUUID("data.correlation_id", p.CorrelationID), checkAttempt(p.Attempt),
		checkDuration(p.DurationMS), required("data.code", p.Code), required("data.reason", p.Reason),
		checkArtifacts("data.artifacts", p.Artifacts), checkObject("data.summary", p.Summary))
}

// Validate checks the payload of a2a.request.
func (p *A2ARequestData) Validate() error {
	if p.Deadline.IsZero() {
		return fieldErrorf("data.deadline", "is missing; give an RFC 3339 time")
	}
	return firstOf(checkUUID("data.correlation_id", p.CorrelationID), checkName("data.from", p.From),
		checkName("data.to", p.To), checkStage("data.stage", p.Stage), checkAttempt(p.Attempt),
		checkObject("data.parameters", p.Parameters), checkArtifacts("data.inputs", p.Inputs))
}

// Validate checks the payload of a2a.response.
func (p *A2AResponseData) Validate() error {
	switch p.Status {
	case A2AAccepted, A2AProgress, A2ASucceeded, A2ACancelled:
	case A2AFailed:
		if err := firstOf(required("data.code", p.Code), required("data.reason", p.Reason)); err != nil {
			return err
		}
	default:
		return fieldErrorf("data.status", "%q is none of accepted, progress, succeeded, failed, cancelled", clip(string(p.Status)))
	}
	return firstOf(checkUUID("data.correlation_id", p.CorrelationID), checkName("data.from", p.From),
		checkName("data.to", p.To), checkStage("data.stage", p.Stage), checkAttempt(p.Attempt),
		checkPercent("data.percent", p.Percent), checkDuration(p.DurationMS),
		checkArtifacts("data.artifacts", p.Artifacts), checkObject("data.summary", p.Summary))
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func required(field, s string) error {
	if s == "" {
		return fieldErrorf(field, "is missing")
	}
	return nil
}

func checkStage(field string, s Stage) error {
	if !s.Valid() {
		return fieldErrorf(field, "%q is none of generation, audit, testing, deployment", clip(string(s)))
	}
	return nil
}

func checkPercent(field string, n int) error {
	if n < 0 || n > 100 {
		return fieldErrorf(field, "is %d; 0 to 100", n)
	}
	return nil
}

func checkAttempt(n int) error {
	if n < 1 {
		return fieldErrorf("data.attempt", "is %d; counted from 1", n)
	}
	return nil
}

func checkDuration(ms int64) error {
	if ms < 0 {
		return fieldErrorf("data.duration_ms", "is %d; at least 0", ms)
	}
	return nil
}

func checkArtifacts(field string, list []Artifact) error {
	for i, a := range list {
		if err := a.validate(fmt.Sprintf("%s[%d]", field, i)); err != nil {
			return err
		}
	}
	return nil
}

// checkObject wants a JSON object or nothing.
func checkObject(field string, raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if raw[0] != '{' {
		return fieldErrorf(field, "must be an object, is %s", kindOf(raw[0]))
	}
	return nil
}

func (a Artifact) validate(field string) error {
	switch {
	case a.Name == "":
		return fieldErrorf(field+".name", "is missing")
	case a.URL == "":
		return fieldErrorf(field+".url", "is missing")
	case len(a.SHA256) != 64 || strings.Trim(a.SHA256, "0123456789abcdef") != "":
		return fieldErrorf(field+".sha256", "must be 64 lower-case hex digits")
	case a.Size < 0:
		return fieldErrorf(field+".size", "is %d; at least 0", a.Size)
	}
	return nil
}
