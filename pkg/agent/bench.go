package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"agentbus/pkg/events"
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Bench is where a tool runs. Safe for concurrent use, when its tool is.
type Bench struct {
	Tool    Tool
	Store   *Store
	Dir     string        // workspaces are made here
	Timeout time.Duration // of a whole task; 0 is none
}

// Job is a request as it came, before anything was fetched.
type Job struct {
	WorkflowID    string
	Stage         events.Stage
	CorrelationID string
	Attempt       int
	Parameters    json.RawMessage
	Inputs        []events.Artifact
}

// Outcome is what a job left: of a failed one too.
type Outcome struct {
	Summary   json.RawMessage // nil or an object
	Artifacts []events.Artifact
	Duration  time.Duration
}

// Do runs the tool for the job. The error is nil, a [*Failure] that is the answer
// to the request, the cause of ctx's end, or the agent's own trouble, for which
// the request should be tried again. report may be nil.
func (b *Bench) Do(ctx context.Context, j Job, report func(percent int, message string)) (out Outcome, err error) {
	begun := time.Now()
	defer func() { out.Duration = time.Since(begun) }()
	if !namePattern.MatchString(j.CorrelationID) {
		return out, failf(CodeBadParameters, "the correlation id %q is not a UUID", j.CorrelationID)
	}
	if b.Timeout > 0 {
		over := failf(CodeTimeout, "the stage took longer than %s, the limit; make it faster, or raise TOOL_TIMEOUT", b.Timeout)
		over.Retryable = true // the machine may have been busy
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, b.Timeout, over)
		defer cancel()
	}
	w, err := newWorkspace(b.Dir, j.CorrelationID)
	if err != nil {
		return out, err
	}
	defer func() { _ = w.close() }() // what cannot be removed now, ClearWorkspaces removes later

	t := Task{
		WorkflowID: j.WorkflowID, Stage: j.Stage, CorrelationID: j.CorrelationID, Attempt: j.Attempt,
		Parameters: j.Parameters, Workspace: w.dir, Report: report,
	}
	if len(t.Parameters) == 0 || string(t.Parameters) == "null" {
		t.Parameters = json.RawMessage("{}")
	}
	if t.Report == nil {
		t.Report = func(int, string) {}
	}
	if t.Inputs, err = b.fetch(ctx, j.Inputs, w.dir); err != nil {
		return out, causeOr(ctx, err)
	}
	result, runErr := b.Tool.Run(ctx, t)
	runErr = causeOr(ctx, runErr)
	if runErr != nil && !errors.As(runErr, new(*Failure)) {
		return out, runErr
	}
	// Reports of a failure are stored even when it was the time that ran out.
	storing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	out, err = b.keep(storing, result, w.dir)
	return out, errors.Join(runErr, err)
}

// causeOr prefers why ctx ended to what broke because of it.
func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// fetch brings the inputs into the workspace, trees unpacked.
func (b *Bench) fetch(ctx context.Context, inputs []events.Artifact, dir string) ([]Input, error) {
	var list []Input
	for _, a := range inputs {
		if !namePattern.MatchString(a.Name) {
			return nil, failf(CodeMissingInput, "the input's name %q must match %s", a.Name, namePattern)
		}
		path := filepath.Join(dir, inputsDir, a.Name)
		file := path
		if a.MediaType == MediaTypeTree {
			file = filepath.Join(dir, tempDir, "fetch-"+a.Name)
		}
		if err := b.fetchFile(ctx, a, file); err != nil {
			return nil, err
		}
		if a.MediaType == MediaTypeTree {
			if err := unpackFile(file, path); err != nil {
				return nil, err
			}
		}
		list = append(list, Input{Name: a.Name, Path: path, MediaType: a.MediaType, SHA256: a.SHA256})
	}
	return list, nil
}

func (b *Bench) fetchFile(ctx context.Context, a events.Artifact, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return failf(CodeMissingInput, "two inputs are named %s", a.Name)
	}
	return errors.Join(b.Store.Get(ctx, a, f), f.Close())
}

func unpackFile(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	return errors.Join(Unpack(f, dir), f.Close(), os.Remove(archive))
}

// keep stores what the tool made.
func (b *Bench) keep(ctx context.Context, r Result, dir string) (Outcome, error) {
	var out Outcome
	if r.Summary != nil {
		summary, err := json.Marshal(r.Summary)
		if err != nil || len(summary) == 0 || summary[0] != '{' {
			return out, failf(CodeBadResult, "the summary is not a JSON object: %s", clip(string(summary), 100))
		}
		out.Summary = summary
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return out, err
	}
	defer root.Close()
	for _, f := range r.Artifacts {
		if !namePattern.MatchString(f.Name) {
			return out, failf(CodeBadResult, "the artifact's name %q must match %s", f.Name, namePattern)
		}
		a, err := b.Store.Put(ctx, root, f)
		if err != nil {
			return out, fmt.Errorf("store the artifact %s: %w", f.Name, err)
		}
		out.Artifacts = append(out.Artifacts, a)
	}
	return out, nil
}

// clip shortens text for a message, at most n bytes of it.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return Clean(s[:n]) + "..."
}
