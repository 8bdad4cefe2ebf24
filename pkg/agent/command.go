package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// tempFail is the exit status (EX_TEMPFAIL of sysexits.h) of a tool that says:
// another try may succeed.
const tempFail = 75

// maxResult bounds result.json, in bytes: it travels in an event.
const maxResult = 256 << 10

// Command is a tool of the user's: a program with fixed arguments. Its contract is
// in the package's documentation.
type Command struct {
	Args   []string
	Runner *Runner
}

// order is what a command reads.
type order struct {
	WorkflowID    string          `json:"workflow_id"`
	Stage         string          `json:"stage"`
	CorrelationID string          `json:"correlation_id"`
	Attempt       int             `json:"attempt"`
	Parameters    json.RawMessage `json:"parameters"`
	Inputs        []Input         `json:"inputs"`
}

// reply is what a command answers.
type reply struct {
	Summary   json.RawMessage `json:"summary"`
	Artifacts []File          `json:"artifacts"`
	Failure   *struct {
		Code      Code   `json:"code"`
		Reason    string `json:"reason"`
		Retryable bool   `json:"retryable"`
	} `json:"failure"`
}

// Run implements [Tool].
func (c *Command) Run(ctx context.Context, t Task) (Result, error) {
	stdin, err := json.Marshal(order{t.WorkflowID, string(t.Stage), t.CorrelationID, t.Attempt, t.Parameters, append([]Input{}, t.Inputs...)})
	if err != nil {
		return Result{}, failf(CodeBadParameters, "the parameters are not JSON: %v", err)
	}
	if err := os.WriteFile(filepath.Join(t.Workspace, "task.json"), stdin, 0o644); err != nil {
		return Result{}, err
	}
	var last []byte
	stdout := &Lines{Each: func(line []byte) {
		if !progress(line, t.Report) && len(bytes.TrimSpace(line)) > 0 {
			last = append(last[:0], line...)
		}
	}}
	stderr := &Lines{Each: func(line []byte) { progress(line, t.Report) }}
	exit, err := c.Runner.Run(ctx, t, Process{Args: c.Args, Stdin: bytes.NewReader(stdin), Stdout: stdout, Stderr: stderr})
	if err != nil {
		return Result{}, err
	}
	stdout.Close()

	answer, err := readResult(t.Workspace, last)
	if err == nil {
		var r reply
		if r, err = decodeReply(answer); err == nil && (exit.Code == 0 || r.Failure != nil) {
			return r.result()
		}
	}
	if exit.Code != 0 {
		f := failf(CodeToolFailed, "%s ended with %s: %s", filepath.Base(c.Args[0]), exit.State, orElse(exit.Stderr, "it printed nothing on stderr"))
		f.Retryable = exit.Code == tempFail
		return Result{}, f
	}
	return Result{}, failf(CodeBadResult, "%s answered with no usable result: %v; write one JSON object to result.json or as the last line of stdout", filepath.Base(c.Args[0]), err)
}

// progress reports a line that says how far the tool is, and whether it was one.
func progress(line []byte, report func(int, string)) bool {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		return false
	}
	var p struct {
		Progress *float64 `json:"progress"`
		Message  string   `json:"message"`
	}
	if json.Unmarshal(line, &p) != nil || p.Progress == nil {
		return false
	}
	report(int(min(max(*p.Progress, 0), 100)), clip(Clean(p.Message), 500))
	return true
}

// readResult prefers the file: a tool that writes it may print what it likes.
func readResult(dir string, last []byte) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open("result.json")
	if errors.Is(err, os.ErrNotExist) {
		if len(last) == 0 {
			return nil, errors.New("there is no result.json and stdout is empty")
		}
		return last, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("result.json is not a file"), err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxResult+1))
	if len(data) > maxResult {
		return nil, fmt.Errorf("result.json is larger than %d bytes", maxResult)
	}
	return data, err
}

func decodeReply(data []byte) (reply, error) {
	var r reply
	if len(data) > maxResult {
		return r, fmt.Errorf("it is larger than %d bytes", maxResult)
	}
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '{' {
		return r, fmt.Errorf("%q is not a JSON object", clip(string(data), 100))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if d.More() {
		return r, errors.New("more than one JSON value")
	}
	if len(r.Summary) > 0 && string(r.Summary) != "null" && r.Summary[0] != '{' {
		return r, errors.New("summary must be an object")
	}
	return r, nil
}

func (r reply) result() (Result, error) {
	result := Result{Artifacts: r.Artifacts}
	if len(r.Summary) > 0 && string(r.Summary) != "null" {
		result.Summary = r.Summary
	}
	if r.Failure == nil {
		return result, nil
	}
	f := &Failure{Code: r.Failure.Code, Reason: orElse(Clean(r.Failure.Reason), "the tool gave no reason"), Retryable: r.Failure.Retryable}
	if !known[f.Code] {
		if f.Code != "" {
			f.Reason = clip(string(f.Code), 64) + ": " + f.Reason
		}
		f.Code = CodeToolFailed
	}
	return result, f
}

func orElse(s, otherwise string) string {
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}
