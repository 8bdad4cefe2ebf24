package main

import (
	"encoding/json"
	"time"

	"agentbus/pkg/events"
)

// State is where a workflow is in its life.
type State string

// The states. The last three are final.
const (
	Running   State = "running"
	Completed State = "completed"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Final reports whether nothing follows.
func (s State) Final() bool { return s == Completed || s == Failed || s == Cancelled }

// phase is where a running stage is; see doc.go.
type phase string

const (
	asked   phase = "asked"
	working phase = "working"
	resting phase = "resting"
)

// maxAttempts bounds what a user may ask for.
const maxAttempts = 10

// workflow is the state document: one Redis key, changed only together with its
// events.
type workflow struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Tenant      string     `json:"tenant"` // whom it belongs to; the live view reads it too
	CreatedBy   string     `json:"created_by"`
	State       State      `json:"state"`
	Stages      []stage    `json:"stages"`  // in order
	Current     int        `json:"current"` // index of the stage at work, or that ended the workflow
	Code        string     `json:"code,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	FinishedAt  *time.Time `json:"finished_at,omitempty"`
	Deadline    time.Time  `json:"deadline"` // when the coordinator must act if nobody else does
	Fingerprint string     `json:"fingerprint"`
	Traceparent string     `json:"traceparent,omitempty"`
}

// stage is one step with what the user asked and what became of it.
type stage struct {
	Name       events.Stage    `json:"name"`
	Parameters json.RawMessage `json:"parameters,omitempty"`
	Timeout    time.Duration   `json:"timeout"`
	Attempts   int             `json:"attempts"`

	State         State             `json:"state,omitempty"` // "" until its turn
	Phase         phase             `json:"phase,omitempty"`
	Attempt       int               `json:"attempt,omitempty"`
	CorrelationID string            `json:"correlation_id,omitempty"`
	LastSeq       int64             `json:"last_seq,omitempty"` // of the latest response heeded
	Percent       int               `json:"percent,omitempty"`
	Message       string            `json:"message,omitempty"`
	AskedAt       time.Time         `json:"asked_at"`
	AcceptedAt    *time.Time        `json:"accepted_at,omitempty"`
	FinishedAt    *time.Time        `json:"finished_at,omitempty"`
	LookedAt      *time.Time        `json:"looked_at,omitempty"` // when nobody had accepted, and
	Leases        map[string]string `json:"leases,omitempty"`    // the agent's members' leases at that moment
	Code          string            `json:"code,omitempty"`
	Reason        string            `json:"reason,omitempty"`
	Artifacts     []events.Artifact `json:"artifacts,omitempty"`
	Summary       json.RawMessage   `json:"summary,omitempty"`
}

func (w *workflow) stage() *stage { return &w.Stages[w.Current] }

// percent of the whole: every stage counts the same.
func (w *workflow) percent() int {
	if w.State == Completed {
		return 100
	}
	total := 0
	for _, s := range w.Stages {
		if s.State == Completed {
			total += 100
		} else {
			total += s.Percent
		}
	}
	return total / len(w.Stages)
}

// artifacts are what the stages so far have handed on; a later one of the same
// name replaces an earlier one.
func (w *workflow) artifacts() []events.Artifact {
	var out []events.Artifact
	at := make(map[string]int)
	for _, s := range w.Stages {
		for _, a := range s.Artifacts {
			if i, have := at[a.Name]; have {
				out[i] = a
				continue
			}
			at[a.Name] = len(out)
			out = append(out, a)
		}
	}
	return out
}
