package events

import (
	"slices"
)

// Spec is what the catalogue says of one event type.
type Spec struct {
	Type     Type
	Version  int     // of the payload; see the package comment
	Producer string  // the service that publishes it
	Means    string  // one sentence for documents
	Example  Payload // complete and valid; golden files and documents are made of it

	index int
}

// Catalogue returns every event type, in the order of a workflow's course. The
// caller owns the slice.
func Catalogue() []Spec { return slices.Clone(catalogue) }

// SpecOf returns the catalogue's word on a type; ok is false for an unknown one.
func SpecOf(t Type) (spec Spec, ok bool) {
	spec, ok = specs[t]
	return spec, ok
}

var catalogue = []Spec{
	{Type: WorkflowCreated, Version: 1, Producer: Coordinator, Example: exampleCreated,
		Means: "A user's request was accepted and written down."},
	{Type: WorkflowStarted, Version: 1, Producer: Coordinator, Example: &WorkflowStartedData{Stage: Generation},
		Means: "The first stage was asked for."},
	{Type: WorkflowProgressed, Version: 1, Producer: Coordinator, Example: &WorkflowProgressedData{Percent: 60, Stage: Testing, StagePercent: 40, Message: "12 of 30 tests passed"},
		Means: "The workflow moved on: a stage began, got further, is tried again, or ended."},
	{Type: WorkflowCompleted, Version: 1, Producer: Coordinator, Example: &WorkflowCompletedData{DurationMS: 8210, Artifacts: []Artifact{exampleArtifact}},
		Means: "All stages succeeded. Last event of a workflow."},
	{Type: WorkflowFailed, Version: 1, Producer: Coordinator, Example: &WorkflowFailedData{Stage: Audit, Code: "findings", Reason: "1 high finding: aws-access-token in config/keys.go:12", DurationMS: 2100},
		Means: "A stage failed for good. Last event of a workflow."},
	{Type: WorkflowCancelled, Version: 1, Producer: Coordinator, Example: &WorkflowCancelledData{Stage: Testing, Reason: "cancelled by the user", DurationMS: 4000},
		Means: "The workflow was stopped on request. Agents at work on it stop. Last event of the coordinator."},

	stageSpec(Generation, "started", exampleStarted), stageSpec(Generation, "completed", exampleDone(`{"template":"go-http-service","files":9}`)), stageSpec(Generation, "failed", exampleFailed),
	stageSpec(Audit, "started", exampleStarted), stageSpec(Audit, "completed", exampleDone(`{"findings":{"high":0,"medium":1}}`)), stageSpec(Audit, "failed", exampleFailed),
	stageSpec(Testing, "started", exampleStarted), stageSpec(Testing, "completed", exampleDone(`{"passed":14,"failed":0,"skipped":1,"coverage":81.5}`)), stageSpec(Testing, "failed", exampleFailed),
	stageSpec(Deployment, "started", exampleStarted), stageSpec(Deployment, "confirmed", exampleDone(`{"service":"greeter","url":"http://127.0.0.1:40123"}`)), stageSpec(Deployment, "failed", exampleFailed),

	{Type: A2ARequest, Version: 1, Producer: Coordinator, Example: exampleRequest,
		Means: "An agent asks another to do a stage."},
	{Type: A2AResponse, Version: 1, Producer: "every stage agent", Example: exampleResponse,
		Means: "The asked agent accepts, tells how far it is, or answers."},
}

func stageSpec(s Stage, verb string, example Payload) Spec {
	means := map[string]string{
		"started":   "The agent took the request and began to work.",
		"completed": "The stage succeeded; its artifacts are stored.",
		"confirmed": "The release runs and its health check answered.",
		"failed":    "The stage did not succeed; the reason says what to do.",
	}
	return Spec{Type: Type(string(s) + "." + verb), Version: 1, Producer: s.Agent(), Means: means[verb], Example: example}
}

// specs is the catalogue by type.
var specs = func() map[Type]Spec {
	m := make(map[Type]Spec, len(catalogue))
	for i := range catalogue {
		catalogue[i].index = i
		m[catalogue[i].Type] = catalogue[i]
	}
	return m
}()
