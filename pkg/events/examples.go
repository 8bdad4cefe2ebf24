package events

import (
	"encoding/json"
	"time"
)

// The catalogue's examples: the same workflow "greeter" seen at different points.
const exampleCorrelation = "7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10"

var exampleArtifact = Artifact{
	Name: "source", MediaType: "application/gzip", Size: 4711,
	URL:    "sha256/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}

var exampleCreated = &WorkflowCreatedData{
	Name: "greeter", Stages: Stages(),
	Parameters: map[Stage]json.RawMessage{Generation: json.RawMessage(`{"template":"go-http-service"}`)},
}

var exampleStarted = &StageStartedData{CorrelationID: exampleCorrelation, Attempt: 1, Worker: "audit-agent-1"}

func exampleDone(summary string) *StageDoneData {
	return &StageDoneData{
		CorrelationID: exampleCorrelation, Attempt: 1, DurationMS: 1480,
		Artifacts: []Artifact{exampleArtifact}, Summary: json.RawMessage(summary),
	}
}

var exampleFailed = &StageFailedData{
	CorrelationID: exampleCorrelation, Attempt: 2, DurationMS: 930, Code: "timeout",
	Reason: "the tool ran longer than 2m0s; raise timeout_seconds or make it faster", Retryable: true,
}

var exampleRequest = &A2ARequestData{
	CorrelationID: exampleCorrelation, From: Coordinator, To: Audit.Agent(), Stage: Audit, Attempt: 1,
	Deadline:   time.Date(2026, 1, 2, 3, 14, 5, 0, time.UTC),
	Parameters: json.RawMessage(`{"fail_on":"high"}`), Inputs: []Artifact{exampleArtifact},
}

var exampleResponse = &A2AResponseData{
	CorrelationID: exampleCorrelation, From: Audit.Agent(), To: Coordinator, Stage: Audit, Attempt: 1,
	Status: A2ASucceeded, Percent: 100, Artifacts: []Artifact{exampleArtifact},
	Summary: json.RawMessage(`{"findings":{"high":0,"medium":1}}`), DurationMS: 1480,
}
