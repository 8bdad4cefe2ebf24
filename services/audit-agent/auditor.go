package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"agentbus/pkg/agent"
)

// auditor is the built-in tool: secrets in any file, and go vet where there is a
// Go module. It reads the input source and writes the artifact audit.sarif.
type auditor struct {
	secrets *secretScanner
	vetter  *vetter
}

// parameters of the stage.
type parameters struct {
	FailOn string `json:"fail_on"` // the least severity that fails the stage
	Vet    bool   `json:"vet"`     // false leaves go vet out
}

// summary is what the stage reports.
type summary struct {
	Files    int            `json:"files"`
	Modules  int            `json:"modules"`
	Findings int            `json:"findings"`
	Severity map[string]int `json:"severity"` // findings by severity
	FailOn   severity       `json:"fail_on"`
	Worst    []string       `json:"worst,omitempty"` // at most 10, as rule in path:line
}

const reportName = "audit.sarif"

func newAuditor(runner *agent.Runner) *auditor {
	return &auditor{secrets: newSecretScanner(), vetter: &vetter{runner: runner}}
}

// Run implements agent.Tool.
func (a *auditor) Run(ctx context.Context, t agent.Task) (agent.Result, error) {
	p := parameters{FailOn: medium.String(), Vet: true}
	if err := t.Decode(&p); err != nil {
		return agent.Result{}, err
	}
	s := summary{Severity: map[string]int{}}
	if err := s.FailOn.UnmarshalText([]byte(p.FailOn)); err != nil {
		return agent.Result{}, &agent.Failure{Code: agent.CodeBadParameters, Reason: err.Error()}
	}
	source, err := t.Source()
	if err != nil {
		return agent.Result{}, err
	}
	findings, tools, broken, err := a.look(ctx, t, source, p.Vet, &s)
	if err != nil {
		return agent.Result{}, err
	}
	sortFindings(findings)
	if err := writeSARIF(filepath.Join(t.Workspace, reportName), tools, findings); err != nil {
		return agent.Result{}, err
	}
	failing := s.count(findings)
	result := agent.Result{
		Summary:   s,
		Artifacts: []agent.File{{Name: reportName, Path: reportName, MediaType: "application/sarif+json"}},
	}
	if len(failing) > 0 { // before vet's trouble: a secret matters more
		return result, &agent.Failure{Code: agent.CodeFindings, Reason: reason(failing, s.FailOn)}
	}
	return result, broken
}

// look collects what both tools find. broken is vet's verdict that it could not
// analyse a module, which must not hide the secrets.
func (a *auditor) look(ctx context.Context, t agent.Task, source string, vet bool, s *summary) (findings []finding, tools []tool, broken, err error) {
	root, err := os.OpenRoot(source)
	if err != nil {
		return nil, nil, nil, err
	}
	defer root.Close()
	if s.Files, err = countFiles(root.FS()); err != nil {
		return nil, nil, nil, err
	}
	visited := 0
	findings, err = a.secrets.scan(ctx, root, func() {
		visited++
		t.Report(visited*60/max(s.Files, 1), "looking for secrets")
	})
	tools = append(tools, tool{"gitleaks", "https://github.com/gitleaks/gitleaks"})
	if err != nil || !vet {
		return findings, tools, nil, err
	}
	dirs, err := modules(root.FS())
	if err != nil {
		return nil, nil, nil, err
	}
	for i, dir := range dirs {
		t.Report(60+i*40/len(dirs), "go vet in "+place(dir))
		found, err := a.vetter.vet(ctx, t, source, dir)
		var failure *agent.Failure
		switch {
		case errors.As(err, &failure) && failure.Code == agent.CodeVetFailed:
			broken = err
		case err != nil:
			return nil, nil, nil, err
		}
		findings = append(findings, found...)
	}
	if s.Modules = len(dirs); s.Modules > 0 {
		tools = append(tools, tool{"vet", "https://pkg.go.dev/cmd/vet"})
	}
	return findings, tools, broken, nil
}

// count fills in the figures and returns the findings that fail the stage.
func (s *summary) count(findings []finding) (failing []finding) {
	s.Findings = len(findings)
	for i, f := range findings {
		s.Severity[f.severity.String()]++
		if i < 10 {
			s.Worst = append(s.Worst, f.String())
		}
		if f.severity >= s.FailOn {
			failing = append(failing, f)
		}
	}
	return failing
}

// reason names the first few; all of them are in the report.
func reason(failing []finding, failOn severity) string {
	const named = 5
	var places []string
	for _, f := range failing[:min(named, len(failing))] {
		places = append(places, fmt.Sprintf("%s (%s)", f, f.severity))
	}
	more := ""
	if len(failing) > named {
		more = fmt.Sprintf(" and %d more, see %s", len(failing)-named, reportName)
	}
	noun := "findings"
	if len(failing) == 1 {
		noun = "finding"
	}
	return fmt.Sprintf("audit found %d %s of severity %s or above: %s%s; remove them from the sources, or raise fail_on",
		len(failing), noun, failOn, strings.Join(places, ", "), more)
}

func countFiles(root fs.FS) (n int, err error) {
	err = fs.WalkDir(root, ".", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	return n, err
}
