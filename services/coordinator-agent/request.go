package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"agentbus/pkg/events"
)

// workflowRequest is what a user asks for.
type workflowRequest struct {
	Name   string        `json:"name" minLength:"1" maxLength:"63" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" patternDescription:"lower-case letters, digits and inner dashes" example:"greeter" doc:"Name of what is delivered: lower-case letters, digits and inner dashes"`
	Stages stageRequests `json:"stages,omitempty" doc:"What each stage is told; all may be left out"`
}

// stageRequests has one field a stage, so that a misspelt stage is refused by name.
type stageRequests struct {
	Generation stageRequest `json:"generation,omitempty"`
	Audit      stageRequest `json:"audit,omitempty"`
	Testing    stageRequest `json:"testing,omitempty"`
	Deployment stageRequest `json:"deployment,omitempty"`
}

type stageRequest struct {
	Parameters map[string]any `json:"parameters,omitempty" doc:"For the stage's tool; each tool documents its own"`
	Timeout    int            `json:"timeout_seconds,omitempty" minimum:"1" maximum:"86400" doc:"Time limit of one try; the coordinator's STAGE_TIMEOUT by default"`
	Attempts   int            `json:"attempts,omitempty" minimum:"1" maximum:"10" doc:"Tries, for failures that may pass; the coordinator's STAGE_ATTEMPTS by default"`
}

// stageDefaults are used where a request names none.
type stageDefaults struct {
	timeout  time.Duration
	attempts int
}

func (r *workflowRequest) workflow(def stageDefaults) (*workflow, error) {
	w := &workflow{Name: r.Name}
	for _, s := range []struct {
		name events.Stage
		req  stageRequest
	}{{events.Generation, r.Stages.Generation}, {events.Audit, r.Stages.Audit}, {events.Testing, r.Stages.Testing}, {events.Deployment, r.Stages.Deployment}} {
		st := stage{Name: s.name, Timeout: def.timeout, Attempts: def.attempts}
		if s.req.Timeout > 0 {
			st.Timeout = time.Duration(s.req.Timeout) * time.Second
		}
		if s.req.Attempts > 0 {
			st.Attempts = s.req.Attempts
		}
		if len(s.req.Parameters) > 0 {
			raw, err := json.Marshal(s.req.Parameters)
			if err == nil {
				err = checkParameters(raw)
			}
			if err != nil {
				return nil, huma.Error422UnprocessableEntity("the parameters cannot travel in an event",
					&huma.ErrorDetail{Location: fmt.Sprintf("body.stages.%s.parameters", s.name), Message: err.Error()})
			}
			st.Parameters = raw
		}
		w.Stages = append(w.Stages, st)
	}
	return w, nil
}

// checkParameters holds a stage's parameters against an event's limits, where the
// user can still be told.
func checkParameters(raw json.RawMessage) error {
	e, err := events.New(events.WorkflowCreated, "check", events.Coordinator, &events.WorkflowCreatedData{
		Name: "check", Stages: events.Stages(), Parameters: map[events.Stage]json.RawMessage{events.Generation: raw}})
	if err != nil {
		return err
	}
	wire, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = events.Decode(wire)
	return err
}
