package events

import "strings"

// Type is an event type as it stands on the wire: lower case, dotted.
type Type string

// The 20 types. The order is that of a workflow's course.
const (
	WorkflowCreated    Type = "workflow.created"
	WorkflowStarted    Type = "workflow.started"
	WorkflowProgressed Type = "workflow.progressed"
	WorkflowCompleted  Type = "workflow.completed"
	WorkflowFailed     Type = "workflow.failed"
	WorkflowCancelled  Type = "workflow.cancelled"

	GenerationStarted   Type = "generation.started"
	GenerationCompleted Type = "generation.completed"
	GenerationFailed    Type = "generation.failed"

	AuditStarted   Type = "audit.started"
	AuditCompleted Type = "audit.completed"
	AuditFailed    Type = "audit.failed"

	TestingStarted   Type = "testing.started"
	TestingCompleted Type = "testing.completed"
	TestingFailed    Type = "testing.failed"

	DeploymentStarted   Type = "deployment.started"
	DeploymentConfirmed Type = "deployment.confirmed"
	DeploymentFailed    Type = "deployment.failed"

	A2ARequest  Type = "a2a.request"
	A2AResponse Type = "a2a.response"
)

// Name is the constant's name: WORKFLOW_STARTED.
func (t Type) Name() string {
	return strings.ToUpper(strings.Replace(string(t), ".", "_", 1))
}
