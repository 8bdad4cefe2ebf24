package events

// Stage is one step of a workflow's pipeline, done by an agent of its own.
type Stage string

// The stages, in the order a workflow goes through them.
const (
	Generation Stage = "generation"
	Audit      Stage = "audit"
	Testing    Stage = "testing"
	Deployment Stage = "deployment"
)

// Stages returns the pipeline in order. The caller owns the slice.
func Stages() []Stage { return []Stage{Generation, Audit, Testing, Deployment} }

// Coordinator is the service that owns a workflow's state.
const Coordinator = "coordinator-agent"

// Agent is the service that does the stage, e.g. "audit-agent".
func (s Stage) Agent() string { return string(s) + "-agent" }

// Group is the consumer group of that service's members, e.g. "audit_agents".
func (s Stage) Group() string { return string(s) + "_agents" }

// Started, Done and Failed are the event types the stage tells its course with.
func (s Stage) Started() Type { return Type(s) + ".started" }

// Done is "confirmed" for a deployment: it counts only when its health check answered.
func (s Stage) Done() Type {
	if s == Deployment {
		return DeploymentConfirmed
	}
	return Type(s) + ".completed"
}

// Failed is the type of the event that ends the stage without success.
func (s Stage) Failed() Type { return Type(s) + ".failed" }

// Valid reports whether s is one of [Stages].
func (s Stage) Valid() bool {
	switch s {
	case Generation, Audit, Testing, Deployment:
		return true
	}
	return false
}
