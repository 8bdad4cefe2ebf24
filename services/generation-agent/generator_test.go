package main

import (
	"encoding/json"
	"errors"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentbus/pkg/agent"
	"agentbus/pkg/events"
)

// generate runs the tool and returns the project's directory.
func generate(t *testing.T, parameters string) (string, agent.Task, agent.Result, error) {
	t.Helper()
	g, err := newGenerator()
	if err != nil {
		t.Fatal(err)
	}
	task := agent.Task{
		WorkflowID: "wf-1", Stage: events.Generation, CorrelationID: t.Name(), Attempt: 1,
		Parameters: json.RawMessage(parameters), Workspace: t.TempDir(), Report: func(int, string) {},
	}
	if err := os.Mkdir(filepath.Join(task.Workspace, ".tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	result, err := g.Run(t.Context(), task)
	return filepath.Join(task.Workspace, "source"), task, result, err
}

// goTool runs the go command in the project, as the later stages do.
func goTool(t *testing.T, task agent.Task, dir string, args ...string) (agent.Exit, string) {
	t.Helper()
	var out strings.Builder
	exit, err := new(agent.Runner).Run(t.Context(), task, agent.Process{
		Args: append([]string{"go"}, args...), Dir: dir, Env: agent.GoEnvironment(), Stdout: &out,
	})
	if err != nil {
		t.Fatal(err)
	}
	return exit, out.String() + exit.Stderr
}

func wantFailure(t *testing.T, err error, code agent.Code, parts ...string) {
	t.Helper()
	var f *agent.Failure
	if !errors.As(err, &f) || f.Code != code {
		t.Fatalf("error is %v, want a failure with code %s", err, code)
	}
	for _, part := range parts {
		if !strings.Contains(f.Reason, part) {
			t.Errorf("the reason does not say %q: %s", part, f.Reason)
		}
	}
}

func TestGeneratedProjectsPassTheirOwnTests(t *testing.T) {
	g, err := newGenerator()
	if err != nil {
		t.Fatal(err)
	}
	for name := range g.templates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, task, result, err := generate(t, `{"template":"`+name+`"}`)
			if err != nil {
				t.Fatal(err)
			}
			if s := result.Summary.(summary); s.Template != name || s.Files < 7 || s.Bytes < 1000 {
				t.Errorf("summary is %+v", s)
			}
			for _, args := range [][]string{{"vet", "./..."}, {"test", "./..."}} {
				if exit, out := goTool(t, task, dir, args...); exit.Code != 0 {
					t.Errorf("go %v: %s", args, out)
				}
			}
			wantFormatted(t, dir)
		})
	}
}

func wantFormatted(t *testing.T, dir string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if formatted, err := format.Source(text); err != nil || string(formatted) != string(text) {
			t.Errorf("%s is not gofmt's: %v", name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAParameterCanBreakTheGeneratedTest(t *testing.T) {
	dir, task, _, err := generate(t, `{"message":"Hello","expected_message":"Goodbye"}`)
	if err != nil {
		t.Fatal(err)
	}
	if exit, out := goTool(t, task, dir, "test", "./..."); exit.Code == 0 || !strings.Contains(out, "Goodbye") {
		t.Errorf("go test: %d %s", exit.Code, out)
	}
}

func TestValuesNeverBecomeCode(t *testing.T) {
	message, err := json.Marshal("\"+os.Getenv(\"HOME\")+\"`\\\n*/ func init() { panic(1) } // {{ }} [[ .name ]] %s é\u2028")
	if err != nil {
		t.Fatal(err)
	}
	dir, task, _, err := generate(t, `{"message":`+string(message)+`}`)
	if err != nil {
		t.Fatal(err)
	}
	if exit, out := goTool(t, task, dir, "test", "./..."); exit.Code != 0 {
		t.Errorf("go test: %s", out)
	}
}

func TestBadParametersAreNamed(t *testing.T) {
	for parameters, want := range map[string][]string{
		`{"nmae":"x"}`:               {`"nmae"`, "name", "message"},
		`{"name":"Not A Label"}`:     {"name", "DNS label"},
		`{"name":7}`:                 {"name", "string", "7"},
		`{"port":"8080"}`:            {"port", "whole number from 1 to 65535", `"8080"`},
		`{"port":1.5}`:               {"port", "1.5"},
		`{"health_status":99}`:       {"health_status", "200 to 599"},
		`{"template":1}`:             {"template", "string"},
		`[]`:                         {"object"},
		`null`:                       {"object"},
		`{"files":["x"]}`:            {"files", "object"},
		`{"files":{"../x":"y"}}`:     {"../x", "inside the project"},
		`{"files":{"/etc/x":"y"}}`:   {"/etc/x"},
		`{"files":{"a/../../x":""}}`: {"a/../../x"},
		`{"files":{"x":1}}`:          {"x", "string"},
		`{"files":{"main.go/x":""}}`: {"main.go/x"},
		`{"message":"` + strings.Repeat("x", 201) + `"}`: {"message", "200"},
	} {
		t.Run(parameters[:min(len(parameters), 30)], func(t *testing.T) {
			_, _, _, err := generate(t, parameters)
			wantFailure(t, err, agent.CodeBadParameters, want...)
		})
	}
}

func TestUnknownTemplateNamesTheKnown(t *testing.T) {
	_, _, _, err := generate(t, `{"template":"cobol"}`)
	wantFailure(t, err, agent.CodeUnknownTemplate, "cobol", "go-http-service", "go-crud-service")
}

func TestExtraFilesAreWritten(t *testing.T) {
	dir, _, _, err := generate(t, `{"files":{"config/keys.go":"package config\n","README.md":"mine"}}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"config/keys.go": "package config\n", "README.md": "mine"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, error %v", name, got, err)
		}
	}
}

func FuzzOrder(f *testing.F) {
	g, err := newGenerator()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`{}`, `{"template":"go-crud-service","files":{"a":"b"}}`, `{"port":1e3}`, `{"message":"\u0000"}`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := g.order(data)
		if err != nil {
			if !errors.As(err, new(*agent.Failure)) {
				t.Fatalf("not a failure: %v", err)
			}
			return
		}
		// Whatever is accepted renders, and to Go that parses.
		if err := g.templates[o.template].render(o.values, func(string, []byte) error { return nil }); err != nil {
			t.Fatalf("accepted and not rendered: %v", err)
		}
	})
}
