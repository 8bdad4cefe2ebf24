package events

import (
	"encoding/json"
	"time"
)

// Payload is the typed form of an event's data. Validate returns a [FieldError]
// whose field starts with "data.".
type Payload interface{ Validate() error }

// Artifact names what a stage hands on: kept in the content-addressed store,
// never inside an event.
type Artifact struct {
	Name      string `json:"name" jsonschema:"what it is to its reader, e.g. source or junit.xml"`
	URL       string `json:"url" jsonschema:"where the store keeps it"`
	SHA256    string `json:"sha256" jsonschema:"64 lower-case hex digits over its bytes"`
	Size      int64  `json:"size" jsonschema:"bytes"`
	MediaType string `json:"media_type,omitempty" jsonschema:"e.g. application/gzip"`
}

// WorkflowCreatedData is the payload of workflow.created.
type WorkflowCreatedData struct {
	Name       string                    `json:"name" jsonschema:"the user's name for the workflow"`
	Stages     []Stage                   `json:"stages" jsonschema:"the stages it will go through, in order"`
	Parameters map[Stage]json.RawMessage `json:"parameters,omitempty" jsonschema:"what the user gave each stage"`
}

// WorkflowStartedData is the payload of workflow.started.
type WorkflowStartedData struct {
	Stage Stage `json:"stage" jsonschema:"the first stage"`
}

// WorkflowProgressedData is the payload of workflow.progressed.
type WorkflowProgressedData struct {
	Percent      int    `json:"percent" jsonschema:"of the whole workflow, 0 to 100"`
	Stage        Stage  `json:"stage" jsonschema:"the stage at work"`
	StagePercent int    `json:"stage_percent" jsonschema:"of that stage, 0 to 100"`
	Attempt      int    `json:"attempt,omitempty" jsonschema:"which try of the stage this is, from 1"`
	Message      string `json:"message,omitempty" jsonschema:"what is happening, for a person"`
}

// WorkflowCompletedData is the payload of workflow.completed.
type WorkflowCompletedData struct {
	DurationMS int64      `json:"duration_ms" jsonschema:"milliseconds since workflow.created"`
	Artifacts  []Artifact `json:"artifacts,omitempty" jsonschema:"everything the stages handed on"`
}

// WorkflowFailedData is the payload of workflow.failed.
type WorkflowFailedData struct {
	Stage      Stage  `json:"stage" jsonschema:"the stage that failed"`
	Code       string `json:"code" jsonschema:"the kind of failure, e.g. tests_failed"`
	Reason     string `json:"reason" jsonschema:"what went wrong and what to do, for a person"`
	DurationMS int64  `json:"duration_ms" jsonschema:"milliseconds since workflow.created"`
}

// WorkflowCancelledData is the payload of workflow.cancelled.
type WorkflowCancelledData struct {
	Stage      Stage  `json:"stage,omitempty" jsonschema:"the stage that was at work, if any"`
	Reason     string `json:"reason" jsonschema:"who or what asked for it"`
	DurationMS int64  `json:"duration_ms" jsonschema:"milliseconds since workflow.created"`
}

// StageStartedData is the payload of generation.started and its three siblings.
type StageStartedData struct {
	CorrelationID string `json:"correlation_id" jsonschema:"of the request that is being served"`
	Attempt       int    `json:"attempt" jsonschema:"which try of the stage this is, from 1"`
	Worker        string `json:"worker" jsonschema:"the agent's member that works on it"`
}

// StageDoneData is the payload of generation.completed, audit.completed,
// testing.completed and deployment.confirmed.
type StageDoneData struct {
	CorrelationID string          `json:"correlation_id" jsonschema:"of the request that was served"`
	Attempt       int             `json:"attempt" jsonschema:"which try of the stage this was, from 1"`
	DurationMS    int64           `json:"duration_ms" jsonschema:"milliseconds the work took"`
	Artifacts     []Artifact      `json:"artifacts,omitempty" jsonschema:"what the stage hands on"`
	Summary       json.RawMessage `json:"summary,omitempty" jsonschema:"the tool's own figures: an object"`
}

// StageFailedData is the payload of generation.failed and its three siblings.
type StageFailedData struct {
	CorrelationID string          `json:"correlation_id" jsonschema:"of the request that was served"`
	Attempt       int             `json:"attempt" jsonschema:"which try of the stage this was, from 1"`
	DurationMS    int64           `json:"duration_ms" jsonschema:"milliseconds the work took"`
	Code          string          `json:"code" jsonschema:"the kind of failure, e.g. tests_failed"`
	Reason        string          `json:"reason" jsonschema:"what went wrong and what to do, for a person"`
	Retryable     bool            `json:"retryable,omitempty" jsonschema:"another try may succeed"`
	Artifacts     []Artifact      `json:"artifacts,omitempty" jsonschema:"reports that show why"`
	Summary       json.RawMessage `json:"summary,omitempty" jsonschema:"the tool's own figures: an object"`
}

// A2ARequestData is the payload of a2a.request.
type A2ARequestData struct {
	CorrelationID string          `json:"correlation_id" jsonschema:"a UUID of this try; the responses carry it"`
	From          string          `json:"from" jsonschema:"who asks, e.g. coordinator-agent"`
	To            string          `json:"to" jsonschema:"which agent is asked, e.g. audit-agent"`
	Stage         Stage           `json:"stage" jsonschema:"what is to be done"`
	Attempt       int             `json:"attempt" jsonschema:"which try of the stage this is, from 1"`
	Deadline      time.Time       `json:"deadline" jsonschema:"after it nobody waits for the answer (RFC 3339)"`
	Parameters    json.RawMessage `json:"parameters,omitempty" jsonschema:"what the user gave this stage: an object"`
	Inputs        []Artifact      `json:"inputs,omitempty" jsonschema:"what the stages before handed on"`
}

// A2AStatus says what kind of response it is.
type A2AStatus string

// A request is accepted once, reported on any number of times, and answered once
// by succeeded, failed or cancelled.
const (
	A2AAccepted  A2AStatus = "accepted"
	A2AProgress  A2AStatus = "progress"
	A2ASucceeded A2AStatus = "succeeded"
	A2AFailed    A2AStatus = "failed"
	A2ACancelled A2AStatus = "cancelled"
)

// A2AResponseData is the payload of a2a.response.
type A2AResponseData struct {
	CorrelationID string          `json:"correlation_id" jsonschema:"of the request"`
	From          string          `json:"from" jsonschema:"the agent that answers"`
	To            string          `json:"to" jsonschema:"who asked"`
	Stage         Stage           `json:"stage" jsonschema:"what was to be done"`
	Attempt       int             `json:"attempt" jsonschema:"which try of the stage this is, from 1"`
	Status        A2AStatus       `json:"status" jsonschema:"accepted, progress, succeeded, failed or cancelled"`
	Percent       int             `json:"percent,omitempty" jsonschema:"how far the stage is, 0 to 100"`
	Message       string          `json:"message,omitempty" jsonschema:"what is happening, for a person"`
	Code          string          `json:"code,omitempty" jsonschema:"of a failure: its kind"`
	Reason        string          `json:"reason,omitempty" jsonschema:"of a failure: what went wrong and what to do"`
	Retryable     bool            `json:"retryable,omitempty" jsonschema:"of a failure: another try may succeed"`
	Artifacts     []Artifact      `json:"artifacts,omitempty" jsonschema:"what the stage hands on"`
	Summary       json.RawMessage `json:"summary,omitempty" jsonschema:"the tool's own figures: an object"`
	DurationMS    int64           `json:"duration_ms,omitempty" jsonschema:"milliseconds the work took"`
}

// Final reports whether no further response follows for the request.
func (s A2AStatus) Final() bool {
	return s == A2ASucceeded || s == A2AFailed || s == A2ACancelled
}
