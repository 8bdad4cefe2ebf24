package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"agentbus/pkg/agent"
	"agentbus/pkg/agent/agenttest"
	"agentbus/pkg/events"
)

// Made up for these tests and put together here, so that no scanner takes this
// file for a leak.
const awsKey = "AKIA" + "Q3EGRT5XWZ2MNP7L"

const goMod = "module example.com/p\n\ngo 1.22\n"

// audit runs the tool on a project of these files.
func audit(t *testing.T, parameters string, files map[string]string) (agent.Result, *sarif.Report, error) {
	t.Helper()
	workspace := t.TempDir()
	source := filepath.Join(workspace, "inputs", "source")
	for name, content := range files {
		path := filepath.Join(source, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(workspace, ".tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	result, err := newAuditor(new(agent.Runner)).Run(t.Context(), agent.Task{
		WorkflowID: "wf-1", Stage: events.Audit, CorrelationID: t.Name(), Attempt: 1, Parameters: json.RawMessage(parameters),
		Inputs:    []agent.Input{{Name: "source", Path: source, MediaType: agent.MediaTypeTree}},
		Workspace: workspace, Report: func(int, string) {},
	})
	if len(result.Artifacts) == 0 {
		return result, nil, err
	}
	text, readErr := os.ReadFile(filepath.Join(workspace, result.Artifacts[0].Path))
	if readErr != nil {
		t.Fatal(readErr)
	}
	if strings.Contains(string(text), awsKey) {
		t.Error("the report tells the secret")
	}
	document, readErr := sarif.FromBytes(text)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if readErr := document.Validate(); readErr != nil {
		t.Errorf("the report is not SARIF 2.1.0: %v", readErr)
	}
	return result, document, err
}

// wantFailure also wants the reason to keep the secret.
func wantFailure(t *testing.T, err error, code agent.Code, parts ...string) {
	t.Helper()
	agenttest.WantFailure(t, err, code, parts...)
	if strings.Contains(err.Error(), awsKey) {
		t.Errorf("the reason tells the secret: %v", err)
	}
}

func TestCleanProjectPasses(t *testing.T) {
	result, document, err := audit(t, `{}`, map[string]string{"go.mod": goMod, "main.go": "package main\n\nfunc main() {}\n"})
	if err != nil {
		t.Fatal(err)
	}
	if s := result.Summary.(summary); s.Files != 2 || s.Modules != 1 || s.Findings != 0 {
		t.Errorf("summary is %+v", s)
	}
	if len(document.Runs) != 2 {
		t.Errorf("%d runs, want gitleaks and vet", len(document.Runs))
	}
}

func TestPlantedKeyFails(t *testing.T) {
	result, document, err := audit(t, `{}`, map[string]string{
		"go.mod": goMod, "config/keys.go": "package config\n\nconst (\n\taccessKey = \"" + awsKey + "\"\n)\n",
	})
	wantFailure(t, err, agent.CodeFindings, "1 finding", "aws-access-token", "config/keys.go:4", "fail_on")
	if s := result.Summary.(summary); s.Severity["high"] != 1 {
		t.Errorf("summary is %+v", s)
	}
	found := document.Runs[0].Results
	if len(found) != 1 || *found[0].Locations[0].PhysicalLocation.Region.StartLine != 4 ||
		*found[0].Locations[0].PhysicalLocation.ArtifactLocation.URI != "config/keys.go" {
		t.Errorf("results are %+v", found)
	}
}

func TestKeyOnTheFirstLine(t *testing.T) {
	_, _, err := audit(t, `{}`, map[string]string{"env.txt": "KEY=" + awsKey + "\n"})
	wantFailure(t, err, agent.CodeFindings, "env.txt:1")
}

func TestVetFindingFailsByDefaultAndNotWhenItIsAllowed(t *testing.T) {
	files := map[string]string{"sub/go.mod": goMod, "sub/a.go": "package a\n\nimport \"fmt\"\n\nfunc f() {\n\tfmt.Printf(\"%d\\n\", \"x\")\n}\n"}
	_, _, err := audit(t, `{}`, files)
	wantFailure(t, err, agent.CodeFindings, "printf in sub/a.go:6", "medium")
	for _, parameters := range []string{`{"fail_on":"high"}`, `{"fail_on":"never"}`, `{"vet":false}`} {
		if _, _, err := audit(t, parameters, files); err != nil {
			t.Errorf("%s: %v", parameters, err)
		}
	}
}

func TestSourcesThatCannotBeAnalysedDoNotHideSecrets(t *testing.T) {
	files := map[string]string{"go.mod": goMod, "a.go": "package a\n\nfunc f() int { return \"x\" }\n"}
	_, _, err := audit(t, `{}`, files)
	wantFailure(t, err, agent.CodeVetFailed, "a.go:3")
	files["key.txt"] = awsKey
	_, _, err = audit(t, `{}`, files)
	wantFailure(t, err, agent.CodeFindings, "key.txt:1")
}

func TestBadParameters(t *testing.T) {
	for parameters, want := range map[string]string{`{"fail_on":"severe"}`: "low, medium, high, critical, never", `{"failon":"low"}`: "failon", `{"vet":"no"}`: "vet must be of type bool"} {
		_, _, err := audit(t, parameters, map[string]string{"x": ""})
		wantFailure(t, err, agent.CodeBadParameters, want)
	}
}

func FuzzParseVet(f *testing.F) {
	f.Add([]byte(`{"p":{"printf":[{"posn":"/x/a.go:3:26","message":"m"}]}}{"q":{"v":{"error":"e"}}}`))
	f.Add([]byte(`{"p":{"printf":[{"posn":"C:\\x:1","message":""}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseVet(data, "/x")
		if err != nil {
			return
		}
		for _, f := range list {
			if f.line < 1 || f.column < 0 {
				t.Fatalf("place %d:%d of %+v", f.line, f.column, f)
			}
		}
	})
}
