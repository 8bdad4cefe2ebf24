package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/pkg/agent"
	"agentbus/pkg/agent/agenttest"
	"agentbus/pkg/events"
)

const (
	goMod   = "module example.com/p\n\ngo 1.22\n"
	someGo  = "package p\n\nfunc Double(n int) int {\n\tif n < 0 {\n\t\treturn -2 * -n\n\t}\n\treturn 2 * n\n}\n"
	preface = "package p\n\nimport \"testing\"\n\n"
)

// newTask is a task on a project of these files.
func newTask(t *testing.T, parameters string, files map[string]string) agent.Task {
	t.Helper()
	workspace := t.TempDir()
	source := filepath.Join(workspace, "inputs", "source")
	for name, content := range files {
		path := filepath.Join(source, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.MkdirAll(source, 0o755), os.MkdirAll(filepath.Join(workspace, ".tmp"), 0o755)); err != nil {
		t.Fatal(err)
	}
	return agent.Task{
		WorkflowID: "wf-1", Stage: events.Testing, CorrelationID: t.Name(), Attempt: 1, Parameters: json.RawMessage(parameters),
		Inputs:    []agent.Input{{Name: "source", Path: source, MediaType: agent.MediaTypeTree}},
		Workspace: workspace, Report: func(int, string) {},
	}
}

func runTests(ctx context.Context, task agent.Task) (agent.Result, error) {
	return (&tester{runner: new(agent.Runner)}).Run(ctx, task)
}

// junitFigures are the totals of the report.
type junitFigures struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
}

func readJUnit(t *testing.T, task agent.Task, result agent.Result) junitFigures {
	t.Helper()
	if len(result.Artifacts) != 1 || result.Artifacts[0].Name != "junit.xml" {
		t.Fatalf("artifacts are %+v", result.Artifacts)
	}
	text, err := os.ReadFile(filepath.Join(task.Workspace, result.Artifacts[0].Path))
	if err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Suites []junitFigures `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &suites); err != nil {
		t.Fatal(err)
	}
	var sum junitFigures
	for _, s := range suites.Suites {
		sum.Tests, sum.Failures, sum.Errors, sum.Skipped = sum.Tests+s.Tests, sum.Failures+s.Failures, sum.Errors+s.Errors, sum.Skipped+s.Skipped
	}
	return sum
}

func TestTestsAreCounted(t *testing.T) {
	task := newTask(t, `{}`, map[string]string{
		"go.mod": goMod, "p.go": someGo,
		"p_test.go": preface + `func TestDouble(t *testing.T) {
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			if Double(2) != 4 {
				t.Error("no")
			}
		})
	}
}

func TestLater(t *testing.T) { t.Skip("later") }
`,
		"nested/go.mod":     "module example.com/nested\n\ngo 1.22\n",
		"nested/n_test.go":  "package n\n\nimport \"testing\"\n\nfunc TestN(t *testing.T) {}\n",
		"testdata/go.mod":   "not a module",
		".hidden/y_test.go": "not Go",
	})
	var last atomic.Int64
	task.Report = func(percent int, _ string) { last.Store(int64(percent)) }
	result, err := runTests(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	want := summary{Passed: 4, Skipped: 1, Coverage: 66.6, Modules: 2}
	if got := result.Summary.(summary); got != want {
		t.Errorf("summary is %+v, want %+v", got, want)
	}
	if got, want := readJUnit(t, task, result), (junitFigures{Tests: 5, Skipped: 1}); got != want {
		t.Errorf("JUnit has %+v, want %+v", got, want)
	}
	if last.Load() < 90 {
		t.Errorf("the last progress is %d", last.Load())
	}
}

func TestWhatFails(t *testing.T) {
	for name, tc := range map[string]struct {
		test, parameters string
		code             agent.Code
		want             []string
		junit            junitFigures
	}{
		"a subtest": {
			"func TestA(t *testing.T) { t.Run(\"sub\", func(t *testing.T) { t.Error(\"got 1, want 2\") }) }\n\nfunc TestB(t *testing.T) {}\n", `{}`,
			agent.CodeTestsFailed, []string{"2 of 3 tests", "example.com/p TestA/sub", "p_test.go:5: got 1, want 2", "junit.xml"}, junitFigures{Tests: 3, Failures: 2},
		},
		"a panic": {
			"func TestA(t *testing.T) { panic(\"boom\") }\n", `{}`,
			agent.CodeTestsFailed, []string{"TestA", "boom"}, junitFigures{Tests: 1, Failures: 1},
		},
		"the package, not a test": {
			"func TestMain(m *testing.M) { println(\"no database\"); panic(\"gone\") }\n\nfunc TestA(t *testing.T) {}\n", `{}`,
			agent.CodeTestsFailed, []string{"example.com/p", "gone"}, junitFigures{Tests: 1, Errors: 1},
		},
		"the build": {
			"func TestA(t *testing.T) { undefined() }\n", `{}`,
			agent.CodeBuildFailed, []string{"example.com/p", "p_test.go:5", "undefined"}, junitFigures{Tests: 1, Errors: 1},
		},
		"time": {
			"var never chan int\n\nfunc TestA(t *testing.T) { <-never }\n\nfunc TestMain(m *testing.M) { m.Run() }\n", `{"timeout_seconds":1}`,
			agent.CodeTestsFailed, []string{"1 of 1 tests", "TestA", "timed out after 1s"}, junitFigures{Tests: 1, Errors: 1},
		},
		"no tests":          {"var _ testing.T\n", `{}`, agent.CodeNoTests, []string{"allow_no_tests"}, junitFigures{}},
		"none that matches": {"func TestA(t *testing.T) {}\n", `{"run":"^TestX$"}`, agent.CodeNoTests, nil, junitFigures{}},
		"coverage":          {"func TestA(t *testing.T) { Double(1) }\n", `{"min_coverage":80}`, agent.CodeLowCoverage, []string{"66.6%", "80%"}, junitFigures{Tests: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			task := newTask(t, tc.parameters, map[string]string{"go.mod": goMod, "p.go": someGo, "p_test.go": preface + tc.test})
			result, err := runTests(t.Context(), task)
			agenttest.WantFailure(t, err, tc.code, tc.want...)
			if got := readJUnit(t, task, result); got != tc.junit {
				t.Errorf("JUnit has %+v, want %+v", got, tc.junit)
			}
		})
	}
}

func TestProjectWithoutTestsMayPass(t *testing.T) {
	if _, err := runTests(t.Context(), newTask(t, `{"allow_no_tests":true}`, map[string]string{"README.md": "nothing"})); err != nil {
		t.Error(err)
	}
}

func TestModuleThatIsIncomplete(t *testing.T) {
	_, err := runTests(t.Context(), newTask(t, `{}`, map[string]string{
		"go.mod": goMod, "p.go": "package p\n\nimport _ \"example.com/missing\"\n", "p_test.go": preface + "func TestA(t *testing.T) {}\n",
	}))
	agenttest.WantFailure(t, err, agent.CodeBuildFailed, "example.com/missing")
}

func TestBadParameters(t *testing.T) {
	for parameters, want := range map[string]string{
		`{"run":"("}`: "regular expression", `{"min_coverage":101}`: "0 to 100", `{"timeout_seconds":0}`: "1 to 86400", `{"race":true}`: "race",
	} {
		_, err := runTests(t.Context(), newTask(t, parameters, nil))
		agenttest.WantFailure(t, err, agent.CodeBadParameters, want)
	}
}

func TestCancellingTakesTheChildrenOfTestsAlong(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	task := newTask(t, `{}`, map[string]string{"go.mod": goMod, "p.go": someGo, "p_test.go": `package p

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

func TestLong(t *testing.T) {
	cmd := exec.Command("sleep", "300")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	os.WriteFile("` + pidFile + `.new", []byte(strconv.Itoa(cmd.Process.Pid)), 0o644)
	os.Rename("` + pidFile + `.new", "` + pidFile + `")
	cmd.Wait()
}
`})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { _, err := runTests(ctx, task); ended <- err }()
	var child agent.ProcessID
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(60 * time.Second); child.PID == 0; {
		select {
		case <-over:
			t.Fatal("the test did not begin")
		case err := <-ended:
			t.Fatalf("the tool ended early: %v", err)
		case <-tick.C:
			if text, err := os.ReadFile(pidFile); err == nil {
				pid, _ := strconv.Atoi(string(text))
				child, _ = agent.Identify(pid)
			}
		}
	}
	begun, reason := time.Now(), errors.New("cancelled by a user")
	cancel(reason)
	if err := <-ended; !errors.Is(err, reason) {
		t.Errorf("error is %v", err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %s", took)
	}
	if child.Alive() {
		t.Error("the test's child lives")
	}
}

func FuzzTally(f *testing.F) {
	f.Add([]byte(`{"Action":"run","Package":"p","Test":"T"}` + "\n" + `{"Action":"output","Package":"p","Test":"T","Output":"x"}` + "\n" + `{"Action":"fail","Package":"p","Test":"T"}`))
	f.Add([]byte(`{"Action":"build-fail","ImportPath":"p"}` + "\n" + `{"Action":"fail","Package":"p","FailedBuild":"p"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newTally()
		lines := agent.Lines{Each: func(line []byte) { c.add(line) }}
		_, _ = lines.Write(data)
		lines.Close()
		_ = c.reason()
		if c.passed < 0 || c.ended > c.passed+c.failed+c.skipped {
			t.Fatalf("counted %+v", c)
		}
	})
}

func FuzzCoverage(f *testing.F) {
	f.Add("mode: atomic\nexample.com/p/p.go:3.28,4.11 1 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		var c coverage
		if c.parse(strings.NewReader(text)) != nil {
			return
		}
		_ = c.percent()
	})
}
