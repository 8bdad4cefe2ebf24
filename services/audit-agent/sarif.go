package main

import (
	"fmt"
	"os"

	"github.com/owenrumney/go-sarif/v3/pkg/report"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

// writeSARIF writes the findings as SARIF 2.1.0, one run per tool, also the tools
// that found nothing: that they looked is part of the report.
func writeSARIF(path string, tools []tool, findings []finding) error {
	document := report.NewV210Report()
	for _, t := range tools {
		run := sarif.NewRunWithInformationURI(t.name, t.uri)
		for _, f := range findings {
			if f.tool == t.name {
				addResult(run, f)
			}
		}
		document.AddRun(run)
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := document.PrettyWrite(out); err != nil {
		_ = out.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	return out.Close()
}

// tool is what looked at the project.
type tool struct{ name, uri string }

func addResult(run *sarif.Run, f finding) {
	run.AddRule(f.rule).WithDescription(f.about)
	region := sarif.NewRegion().WithStartLine(max(f.line, 1))
	if f.column > 0 {
		region.WithStartColumn(f.column)
	}
	properties := sarif.NewPropertyBag().Add("severity", f.severity.String()).Add("security-severity", score(f.severity))
	run.CreateResultForRule(f.rule).
		WithLevel(level(f.severity)).
		WithMessage(sarif.NewTextMessage(f.message)).
		WithProperties(properties).
		AddLocation(sarif.NewLocationWithPhysicalLocation(sarif.NewPhysicalLocation().
			WithArtifactLocation(sarif.NewSimpleArtifactLocation(f.path)).
			WithRegion(region)))
}

// level is SARIF's, which knows three.
func level(s severity) string {
	switch {
	case s >= high:
		return sarif.LevelError
	case s == medium:
		return sarif.LevelWarning
	}
	return sarif.LevelNote
}

// score is what code hosts sort by: CVSS-like, 0 to 10.
func score(s severity) string {
	return []string{"2.0", "5.0", "8.0", "9.5"}[min(s, critical)]
}
