package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"agentbus/pkg/agent"
)

// tester is the built-in tool: it runs the tests of every Go module in the input
// source and hands on junit.xml.
type tester struct {
	runner *agent.Runner
}

// parameters of the stage.
type parameters struct {
	Run            string  `json:"run"`             // regular expression of the tests to run
	MinCoverage    float64 `json:"min_coverage"`    // percent of statements
	AllowNoTests   bool    `json:"allow_no_tests"`  // a project without tests passes
	TimeoutSeconds int     `json:"timeout_seconds"` // of one package's tests
}

// summary is what the stage reports.
type summary struct {
	Passed   int     `json:"passed"`
	Failed   int     `json:"failed"`
	Skipped  int     `json:"skipped"`
	Coverage float64 `json:"coverage_percent"`
	Modules  int     `json:"modules"`
}

const (
	reportName = "junit.xml"
	eventsName = "go-test.json"
)

// Run implements agent.Tool.
func (r *tester) Run(ctx context.Context, t agent.Task) (agent.Result, error) {
	p := parameters{TimeoutSeconds: 300}
	if err := t.Decode(&p); err != nil {
		return agent.Result{}, err
	}
	if err := p.validate(); err != nil {
		return agent.Result{}, err
	}
	source, err := t.Source()
	if err != nil {
		return agent.Result{}, err
	}
	found, err := modules(os.DirFS(source))
	if err != nil {
		return agent.Result{}, err
	}
	count, covered := newTally(), &coverage{}
	eventsPath := filepath.Join(t.Workspace, eventsName)
	if err := r.testAll(ctx, t, p, source, found, eventsPath, count, covered); err != nil {
		return agent.Result{}, err
	}
	events, err := os.Open(eventsPath)
	if err != nil {
		return agent.Result{}, err
	}
	defer events.Close()
	if err := writeJUnit(filepath.Join(t.Workspace, reportName), events); err != nil {
		return agent.Result{}, err
	}
	s := summary{count.passed, count.failed, count.skipped, covered.percent(), len(found)}
	return agent.Result{
		Summary:   s,
		Artifacts: []agent.File{{Name: reportName, Path: reportName, MediaType: "application/xml"}},
	}, verdict(p, s, count)
}

func (p parameters) validate() error {
	if _, err := regexp.Compile(p.Run); err != nil {
		return fail(agent.CodeBadParameters, "run must be a regular expression: %v", err)
	}
	if p.MinCoverage < 0 || p.MinCoverage > 100 {
		return fail(agent.CodeBadParameters, "min_coverage must be from 0 to 100 (percent), is %v", p.MinCoverage)
	}
	if p.TimeoutSeconds < 1 || p.TimeoutSeconds > 24*3600 {
		return fail(agent.CodeBadParameters, "timeout_seconds must be from 1 to 86400, is %d", p.TimeoutSeconds)
	}
	return nil
}

// testAll runs the modules one after the other and collects what they say.
func (r *tester) testAll(ctx context.Context, t agent.Task, p parameters, source string, found []module, eventsPath string, count *tally, covered *coverage) error {
	events, err := os.Create(eventsPath)
	if err != nil {
		return err
	}
	defer events.Close()
	expected := 0
	for _, m := range found {
		expected += m.tests
	}
	t.Report(1, fmt.Sprintf("compiling, about %d tests", expected))
	for i, m := range found {
		lines := &agent.Lines{Each: func(line []byte) {
			before := count.ended
			if !count.add(line) {
				return
			}
			_, writeErr := events.Write(append(line, '\n'))
			err = errors.Join(err, writeErr)
			if count.ended != before {
				t.Report(min(5+count.ended*90/max(expected, 1), 95), fmt.Sprintf("%d passed, %d failed, %d skipped", count.passed, count.failed, count.skipped))
			}
		}}
		profile := filepath.Join(t.Workspace, fmt.Sprintf("cover-%d.out", i))
		exit, runErr := r.runner.Run(ctx, t, agent.Process{
			Args: []string{
				"go", "test", "-json", "-count=1", "-coverprofile=" + profile, "-covermode=atomic", "-run=" + p.Run,
				"-timeout=" + (time.Duration(p.TimeoutSeconds) * time.Second).String(), "./...",
			},
			Dir: filepath.Join(source, m.dir), Env: agent.GoEnvironment(), Stdout: lines,
		})
		lines.Close()
		if err = errors.Join(runErr, err, covered.read(profile)); err != nil {
			return err
		}
		if exit.Code != 0 && len(count.failing) == 0 && len(count.builds) == 0 {
			return fail(agent.CodeBuildFailed, "go test in %s ended with %s: %s; make the module complete", m.dir, exit.State, shorten(exit.Stderr, 1000))
		}
	}
	return nil
}

// verdict is nil when the stage passes.
func verdict(p parameters, s summary, count *tally) error {
	switch {
	case len(count.builds) > 0:
		id := testID{pkg: count.builds[0]}
		return fail(agent.CodeBuildFailed, "%s does not compile: %s; correct it, see %s", id, shorten(count.excerpt(id), 1000), reportName)
	case len(count.failing) > 0:
		return fail(agent.CodeTestsFailed, "%s", count.reason())
	case s.Passed+s.Skipped == 0 && !p.AllowNoTests:
		return fail(agent.CodeNoTests, "no test ran in %d Go modules; write tests, or set allow_no_tests", s.Modules)
	case s.Coverage < p.MinCoverage:
		return fail(agent.CodeLowCoverage, "the tests cover %.1f%% of the statements, min_coverage is %v%%; write tests for the rest, or lower it", s.Coverage, p.MinCoverage)
	}
	return nil
}

func fail(code agent.Code, format string, args ...any) error {
	return &agent.Failure{Code: code, Reason: fmt.Sprintf(format, args...)}
}
