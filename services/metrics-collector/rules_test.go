package main

import (
	"path/filepath"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// language is PromQL with nothing experimental.
var language = parser.NewParser(parser.Options{})

const (
	prometheusDir = "../../deploy/prometheus"
	ruleFiles     = "../../helm/agentbus/files/rules/*.yml"
)

// TestRules reads the alert rules as Prometheus does. That what they ask for exists is checked in deploy/chart.
func TestRules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(ruleFiles)
	if err != nil || len(files) == 0 {
		t.Fatalf("rule files: %v, %v", files, err)
	}
	for _, file := range files {
		groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, language)
		for _, err := range errs {
			t.Errorf("%s: %v", file, err)
		}
		if groups == nil {
			continue
		}
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				if r.Alert != "" {
					if s := r.Labels["severity"]; s != "page" && s != "ticket" {
						t.Errorf("%s: severity %q is neither page nor ticket", r.Alert, s)
					}
					for _, a := range []string{"summary", "description"} {
						if r.Annotations[a] == "" {
							t.Errorf("%s has no %s", r.Alert, a)
						}
					}
				}
			}
		}
	}
}
