package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentbus/pkg/events"
)

func newBench(t *testing.T, tool Tool) *Bench {
	t.Helper()
	s, _ := newStore(t)
	return &Bench{Tool: tool, Store: s, Dir: filepath.Join(t.TempDir(), "work")}
}

func job() Job {
	return Job{WorkflowID: "wf-1", Stage: events.Audit, CorrelationID: "0198c0de-0000-7000-8000-000000000001", Attempt: 1}
}

func TestWhatOneToolHandsOnTheNextOneReads(t *testing.T) {
	b := newBench(t, fakeTool(func(_ context.Context, t Task) (Result, error) {
		err := errors.Join(os.MkdirAll(filepath.Join(t.Workspace, "out/sub"), 0o755),
			os.WriteFile(filepath.Join(t.Workspace, "out/sub/x"), []byte("tree"), 0o644),
			os.WriteFile(filepath.Join(t.Workspace, "y"), []byte("file"), 0o644))
		return Result{Summary: map[string]int{"n": 1}, Artifacts: []File{{Name: "source", Path: "out"}, {Name: "y.txt", Path: "y", MediaType: "text/plain"}}}, err
	}))
	out, err := b.Do(t.Context(), job(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(out.Summary) != `{"n":1}` || len(out.Artifacts) != 2 || out.Artifacts[0].MediaType != MediaTypeTree || out.Duration <= 0 {
		t.Fatalf("outcome is %+v", out)
	}
	if left, err := os.ReadDir(b.Dir); err != nil || len(left) != 0 {
		t.Errorf("the workspace is still there: %v, %v", left, err)
	}
	b.Tool = fakeTool(func(_ context.Context, task Task) (Result, error) {
		source, err := task.Source()
		if err != nil {
			return Result{}, err
		}
		y, _ := task.Input("y.txt")
		for path, want := range map[string]string{filepath.Join(source, "sub/x"): "tree", y.Path: "file"} {
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("%s is %q, error %v", path, got, err)
			}
		}
		return Result{}, nil
	})
	next := job()
	next.Inputs = out.Artifacts
	if out, err = b.Do(t.Context(), next, nil); err != nil || out.Summary != nil {
		t.Errorf("outcome is %+v, error %v", out, err)
	}
}

func TestReportsOfAFailureAreKept(t *testing.T) {
	b := newBench(t, command(`echo why > report; echo '{"artifacts":[{"name":"report.txt","path":"report"}],"failure":{"code":"findings","reason":"a key"}}'`))
	out, err := b.Do(t.Context(), job(), nil)
	wantFailure(t, err, CodeFindings)
	if len(out.Artifacts) != 1 || out.Artifacts[0].Name != "report.txt" || out.Artifacts[0].Size != 4 {
		t.Errorf("outcome is %+v", out)
	}
}

func TestArtifactsComeFromTheWorkspaceOnly(t *testing.T) {
	for name, script := range map[string]string{
		"parent":      `echo '{"artifacts":[{"name":"a","path":"../../x"}]}'`,
		"absolute":    `echo '{"artifacts":[{"name":"a","path":"/etc/passwd"}]}'`,
		"link":        `ln -s /etc/passwd p; echo '{"artifacts":[{"name":"a","path":"p"}]}'`,
		"link inside": `mkdir d; ln -s /etc/passwd d/p; echo '{"artifacts":[{"name":"a","path":"d"}]}'`,
		"not there":   `echo '{"artifacts":[{"name":"a","path":"nothing"}]}'`,
		"name":        `echo x > x; echo '{"artifacts":[{"name":"a/b","path":"x"}]}'`,
	} {
		t.Run(name, func(t *testing.T) {
			out, err := newBench(t, command(script)).Do(t.Context(), job(), nil)
			wantFailure(t, err, CodeBadResult)
			if len(out.Artifacts) != 0 {
				t.Errorf("%+v was stored", out.Artifacts)
			}
		})
	}
}

func TestATaskThatTakesTooLong(t *testing.T) {
	b := newBench(t, command("sleep 300"))
	b.Timeout = 100 * time.Millisecond
	_, err := b.Do(t.Context(), job(), nil)
	if f := wantFailure(t, err, CodeTimeout); !f.Retryable || !strings.Contains(f.Reason, "100ms") {
		t.Errorf("failure is %+v", f)
	}
}

func TestInputThatWasChangedFailsTheStage(t *testing.T) {
	b := newBench(t, fakeTool(func(context.Context, Task) (Result, error) {
		t.Error("the tool ran")
		return Result{}, nil
	}))
	j := job()
	j.Inputs = []events.Artifact{put(t, b.Store, "hello")}
	j.Inputs[0].SHA256 = strings.Repeat("0", 64)
	_, err := b.Do(t.Context(), j, nil)
	wantFailure(t, err, CodeArtifactMismatch)
}

func TestClearWorkspacesLeavesTheLivingAlone(t *testing.T) {
	base := t.TempDir()
	dead, err := newWorkspace(base, "dead")
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.lock.Close(); err != nil { // what a kill does
		t.Fatal(err)
	}
	living, err := newWorkspace(base, "living")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := ClearWorkspaces(base); n != 1 || err != nil {
		t.Errorf("cleared %d, error %v", n, err)
	}
	if _, err := os.Stat(living.dir); err != nil {
		t.Error(err)
	}
	if err := living.close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(base); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestParametersAreNamed(t *testing.T) {
	for given, want := range map[string]string{
		`{"fail_no":"x"}`: `"fail_no"`, `{"n":"x"}`: "n must be of type int", `[]`: "must be an object", `{"n":1}{}`: "follows",
	} {
		task := newTask(t)
		task.Parameters = []byte(given)
		var p struct {
			N int `json:"n"`
		}
		if f := wantFailure(t, task.Decode(&p), CodeBadParameters); !strings.Contains(f.Reason, want) {
			t.Errorf("%s: %s", given, f.Reason)
		}
	}
}
