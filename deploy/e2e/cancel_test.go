package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"agentbus/deploy/agentctl/coordinator"
	"agentbus/deploy/agentctl/record"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
)

// slowTest is a test file for the generated project: its test takes so many seconds, in a child of a
// child, as integration tests do that start servers. What it prints makes the stage's progress move.
func slowTest(seconds int) map[string]string {
	return map[string]string{"slow_test.go": fmt.Sprintf(`package main

import (
	"os/exec"
	"testing"
)

func TestA(t *testing.T) {}

func TestSlow(t *testing.T) {
	if out, err := exec.Command("sh", "-c", "sleep %d & wait").CombinedOutput(); err != nil {
		t.Fatalf("%%v: %%s", err, out)
	}
}
`, seconds)}
}

// slow is a workflow whose testing stage takes so long.
func slow(name string, seconds int) request {
	return greeter(name, map[events.Stage]map[string]any{events.Generation: {"files": slowTest(seconds)}})
}

// tasks are the processes that the agent's tool has started: they carry its mark, whatever group or
// parent they have.
func tasks(agent int) (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	for _, dir := range dirs {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		pid, numErr := strconv.Atoi(filepath.Base(dir))
		if err != nil || numErr != nil {
			continue // it has ended
		}
		for entry := range bytes.SplitSeq(env, []byte{0}) {
			if value, ok := bytes.CutPrefix(entry, []byte("AGENTBUS_TASK=")); ok && bytes.Contains(value, fmt.Appendf(nil, ":%d:", agent)) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func TestCancelStopsTheChildren(t *testing.T) {
	s := system{t, shared}
	agent := s.Process("testing-agent-1").PID()
	id := s.create(slow("cancelled", 300))
	frames := s.collect(id)
	s.awaitWorking(id, events.Testing)
	servertest.Eventually(t, 30*time.Second, func() error { // go, the test's binary, sh and sleep
		if n := len(tasks(agent)); n < 4 {
			return fmt.Errorf("the tests have %d processes", n)
		}
		return nil
	})

	begun := time.Now()
	if _, err := s.api().Cancel(t.Context(), id, "changed my mind"); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 10*time.Second, func() error {
		if left := tasks(agent); len(left) > 0 {
			return fmt.Errorf("processes %v still run", left)
		}
		return nil
	})
	if took := time.Since(begun); took > time.Second {
		t.Errorf("the children ended %s after the request, want within 1s", took)
	}
	w := s.await(id, 5*time.Second, "cancelled", func(w coordinator.Workflow) bool { return w.Final() })
	if w.State != "cancelled" || w.Stage != "testing" || w.Reason != "changed my mind" {
		t.Errorf("API: %s at %s: %s", w.State, w.Stage, w.Reason)
	}
	servertest.Eventually(t, 15*time.Second, func() error {
		rows, err := record.ReadRows(t.Context(), s.DatabaseURL, id)
		if err != nil {
			return err
		}
		if rows.Workflow == nil || rows.Workflow.State != "cancelled" {
			return fmt.Errorf("PostgreSQL has %+v", rows.Workflow)
		}
		if record.Count(frames.Events())[events.WorkflowCancelled] != 1 {
			return fmt.Errorf("WebSocket told no workflow.cancelled")
		}
		return nil
	})
}
