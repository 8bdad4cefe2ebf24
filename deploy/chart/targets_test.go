package chart_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestEveryServiceMayBeDown: the alert on services that are down names none of them, but a label that tells our
// targets from all else: of each pod it comes with the PodMonitor, on one machine with deploy/prometheus.
func TestEveryServiceMayBeDown(t *testing.T) {
	groups, errs := rulefmt.ParseFile(files+"rules/agentbus.yml", false, model.UTF8Validation, language)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var asks []*labels.Matcher
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if r.Alert == "AgentbusServiceDown" {
				asks = selectors(t, r.Expr)[0]
			}
		}
	}
	told := func(target map[string]string) bool {
		return !slices.ContainsFunc(asks, func(m *labels.Matcher) bool {
			return m.Name != model.MetricNameLabel && !m.Matches(target[m.Name])
		})
	}
	if len(asks) == 0 || told(map[string]string{"job": "kube-proxy"}) {
		t.Fatalf("there is no alert AgentbusServiceDown, or it asks for what is not ours: %v", asks)
	}

	var config struct {
		Scrapes []struct {
			Relabel []struct {
				Label string `json:"target_label"`
				Value string `json:"replacement"`
			} `json:"relabel_configs"`
		} `json:"scrape_configs"`
	}
	if err := yaml.Unmarshal(read(t, "../prometheus/prometheus.yml"), &config); err != nil {
		t.Fatal(err)
	}
	for _, scrape := range config.Scrapes {
		target := map[string]string{}
		for _, r := range scrape.Relabel {
			target[r.Label] = r.Value
		}
		if !told(target) {
			t.Errorf("deploy/prometheus gives its targets the labels %v", target)
		}
	}

	copied := podTargetLabels(t)
	for _, p := range pods(t, "everything") {
		target := map[string]string{}
		for _, name := range copied {
			target[regexp.MustCompile(`\W`).ReplaceAllString(name, "_")] = p.meta[name]
		}
		ops := slices.ContainsFunc(p.spec.Containers[0].Ports, func(port corev1.ContainerPort) bool { return port.Name == "ops" })
		if ops && !told(target) {
			t.Errorf("%s may be down and nobody is told: its target has the labels %v", p.owner, target)
		}
	}
}

// podTargetLabels are what the PodMonitor copies from a pod to its target.
func podTargetLabels(t *testing.T) []string {
	t.Helper()
	for _, o := range mustRender(t, "agentbus", "everything") {
		if o.GetKind() == "PodMonitor" {
			names, _, err := unstructured.NestedStringSlice(o.Object, "spec", "podTargetLabels")
			if err != nil {
				t.Fatal(err)
			}
			return names
		}
	}
	t.Fatal("there is no PodMonitor")
	return nil
}
