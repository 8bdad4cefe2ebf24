package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
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

// TestEveryServiceIsScraped compares the jobs with the folders of services.
func TestEveryServiceIsScraped(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(prometheusDir, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var jobs, ports []string
	for _, m := range regexp.MustCompile(`job_name: (\S+)\n.*"127\.0\.0\.1:(\d+)"`).FindAllStringSubmatch(string(raw), -1) {
		jobs, ports = append(jobs, m[1]), append(ports, m[2])
	}
	services := allServices(t)
	slices.Sort(jobs)
	if !slices.Equal(jobs, services) {
		t.Errorf("jobs are %v, services are %v", jobs, services)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != len(services) {
		t.Errorf("ports %v, want one for each service", ports)
	}
}

// TestEveryServiceMayBeDown: the alert asks for services by name, since a cluster's Prometheus scrapes much
// else.
func TestEveryServiceMayBeDown(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../helm/agentbus/files/rules/agentbus.yml")
	if err != nil {
		t.Fatal(err)
	}
	expr := regexp.MustCompile(`alert: AgentbusServiceDown\n +expr: (.*)`).FindStringSubmatch(string(raw))
	if expr == nil {
		t.Fatal("there is no alert AgentbusServiceDown")
	}
	parsed, err := language.ParseExpr(expr[1])
	if err != nil {
		t.Fatal(err)
	}
	jobs := parser.ExtractSelectors(parsed)[0]
	i := slices.IndexFunc(jobs, func(m *labels.Matcher) bool { return m.Name == "job" })
	for _, name := range allServices(t) {
		if !jobs[i].Matches(name) {
			t.Errorf("%s may be down and nobody is told", name)
		}
	}
	if jobs[i].Matches("kube-proxy") {
		t.Error("the alert asks for what is not ours")
	}
}

// allServices are the folders beside this one, sorted.
func allServices(t *testing.T) (names []string) {
	t.Helper()
	dirs, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d.IsDir() {
			names = append(names, d.Name())
		}
	}
	return names
}
