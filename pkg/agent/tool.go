package agent

import (
	"context"
	"encoding/json"

	"agentbus/pkg/events"
)

// Tool does a stage's work. Run returns nil, a [*Failure] when the work was done
// and the answer is no, or another error when the agent could not do its work.
// It returns soon (under a second) after ctx ends, with nothing left running.
type Tool interface {
	Run(ctx context.Context, t Task) (Result, error)
}

// Task is one try of a stage.
type Task struct {
	WorkflowID    string
	Stage         events.Stage
	CorrelationID string // a UUID of this try
	Attempt       int    // from 1
	Parameters    json.RawMessage
	Inputs        []Input
	Workspace     string // absolute path of a directory of this task's own; removed afterwards

	// Report says how far the work is, in percent, and what is happening. It does
	// not block and may be called from any goroutine. Never nil inside a Tool.
	Report func(percent int, message string)
}

// Input is an artifact of an earlier stage, already fetched and checked.
type Input struct {
	Name      string `json:"name"`
	Path      string `json:"path"` // absolute; a directory when MediaType is [MediaTypeTree]
	MediaType string `json:"media_type,omitempty"`
	SHA256    string `json:"sha256"` // of the artifact as it was stored
}

// Result is what a tool made. The zero value is a success without figures.
type Result struct {
	Summary   any // figures for people, encoded as a JSON object; nil is none
	Artifacts []File
}

// File is a file or directory in the workspace that is handed on.
type File struct {
	Name      string `json:"name"` // what readers call it, e.g. junit.xml
	Path      string `json:"path"` // relative to the workspace
	MediaType string `json:"media_type,omitempty"`
}

// Input returns the input of that name.
func (t Task) Input(name string) (Input, bool) {
	for _, in := range t.Inputs {
		if in.Name == name {
			return in, true
		}
	}
	return Input{}, false
}

// Source returns the directory of the input "source", which every stage after
// the generation works on.
func (t Task) Source() (string, error) {
	in, ok := t.Input("source")
	if !ok {
		return "", &Failure{Code: CodeMissingInput, Reason: "the request has no input named source; run the generation stage before this one, or hand its artifact on"}
	}
	if in.MediaType != MediaTypeTree {
		return "", failf(CodeMissingInput, "the input source is %q, not a directory (%s)", in.MediaType, MediaTypeTree)
	}
	return in.Path, nil
}
