package agent

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"agentbus/pkg/events"
)

// newTask is a task in a directory of the test's.
func newTask(t *testing.T) Task {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, tempDir), 0o755); err != nil {
		t.Fatal(err)
	}
	return Task{
		WorkflowID: "wf-1", Stage: events.Audit, CorrelationID: "task-" + filepath.Base(filepath.Dir(dir)) + "-" + t.Name(), Attempt: 1,
		Parameters: json.RawMessage("{}"), Workspace: dir, Report: func(int, string) {},
	}
}

// wantFailure checks the code of a failure and returns it.
func wantFailure(t *testing.T, err error, code Code) *Failure {
	t.Helper()
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("error is %v, want a failure with code %s", err, code)
	}
	if f.Code != code {
		t.Fatalf("failure is %v, want code %s", f, code)
	}
	if f.Reason == "" {
		t.Errorf("the failure %s has no reason", code)
	}
	return f
}

// eventually waits for a condition.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	over := time.After(within)
	for !ok() {
		select {
		case <-over:
			t.Fatalf("not within %s: %s", within, what)
		case <-tick.C:
		}
	}
}

// marked counts the living processes that carry the task's mark.
func marked(task Task) int {
	n := 0
	for _, p := range processes() {
		if !p.zombie && environ(p.pid, markName) == mark(task.CorrelationID) {
			n++
		}
	}
	return n
}

// shell is a command for tests; the shell is the tool, not what starts it.
func shell(script string) Process { return Process{Args: []string{"/bin/sh", "-c", script}} }

// fakeTool is a tool made of a function.
type fakeTool func(context.Context, Task) (Result, error)

func (f fakeTool) Run(ctx context.Context, t Task) (Result, error) { return f(ctx, t) }

// reports collects progress.
type reports struct {
	mu   sync.Mutex
	seen []string
}

func (r *reports) add(percent int, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, _ := json.Marshal([]any{percent, message})
	r.seen = append(r.seen, string(text))
}
