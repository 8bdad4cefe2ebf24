package chart_test

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// serviceDirectories are the names under services/.
func serviceDirectories(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir("../../services")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestEachServiceHasOneAutoscaler: by CPU alone in a default install, and by at least one metric however it is
// installed. An autoscaler without any would keep its service at what it is.
func TestEachServiceHasOneAutoscaler(t *testing.T) {
	for scenario, kind := range map[string]string{
		"defaults":   "HorizontalPodAutoscaler",
		"production": "HorizontalPodAutoscaler",
		"everything": "ScaledObject",
	} {
		var scaled []string
		for _, o := range mustRender(t, "agentbus", scenario) {
			if o.GetKind() != kind {
				continue
			}
			target, _, _ := unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "name")
			scaled = append(scaled, strings.TrimPrefix(target, "agentbus-"))
			metrics, _, _ := unstructured.NestedSlice(o.Object, "spec", "metrics")
			triggers, _, _ := unstructured.NestedSlice(o.Object, "spec", "triggers") // of KEDA
			if len(metrics)+len(triggers) == 0 {
				t.Errorf("%s: %s %s has no metric", scenario, kind, o.GetName())
			}
			for _, m := range metrics {
				if by := m.(map[string]any)["type"]; scenario == "defaults" && by != "Resource" {
					t.Errorf("%s: %s is scaled by %v, which a default install has not", scenario, target, by)
				}
			}
		}
		slices.Sort(scaled)
		if want := serviceDirectories(t); !slices.Equal(scaled, want) {
			t.Errorf("%s: %ss of %v, the directories are %v", scenario, kind, scaled, want)
		}
	}
}

// TestWhereTasksAreCountedToolsCPUIsNot: a tool that is busy says nothing about what waits.
func TestWhereTasksAreCountedToolsCPUIsNot(t *testing.T) {
	found := 0
	for name, a := range autoscalers(t, "production") {
		if a.cpuLimit == 0 { // it runs no tools that take all CPU they get
			continue
		}
		found++
		if len(a.metrics) != 1 || a.metrics[0].External == nil || a.metrics[0].External.Metric.Name != "agentbus_agent_tasks" {
			t.Errorf("%s is scaled by %v, want its tasks alone", name, a.metrics)
		}
	}
	if found == 0 {
		t.Error("no service has a CPU limit: which ones run tools?")
	}
}

// TestBusyScalesUpAndIdleComesBack does the autoscaler's arithmetic with the rendered targets: CPU in thousandths
// of a core, used by all replicas of a service together.
func TestBusyScalesUpAndIdleComesBack(t *testing.T) {
	const idle = 5 // per replica; measured are 1 to 4
	for name, a := range autoscalers(t, "defaults") {
		// However many idle replicas there are, the next step is back to the minimum.
		for replicas := a.min + 1; replicas <= a.max; replicas++ {
			if next := a.next(replicas, idle*replicas); next != a.min {
				t.Errorf("%s: %d idle replicas become %d", name, replicas, next)
			}
		}
		if a.cpuLimit == 0 {
			continue
		}
		// It runs tools, which take one core or as many as the limit allows.
		for _, used := range []int{1000, a.cpuLimit} {
			if next := a.next(1, used); next <= 1 || next >= a.max {
				t.Errorf("%s: one task that uses %dm makes %d replicas of 1, want more, and fewer than the maximum %d", name, used, next, a.max)
			}
		}
		if next := a.next(2, 2*a.cpuLimit); next <= 2 {
			t.Errorf("%s: two replicas with a task each stay %d", name, next)
		}
	}
}

// autoscaler is an HPA with what its CPU target is a share of.
type autoscaler struct {
	metrics              []autoscalingv2.MetricSpec
	min, max             int
	cpuRequest, cpuLimit int // thousandths of a core; limit 0: none
}

// next is how many replicas follow, as Kubernetes documents it: the ratio of use to target, which counts when it is
// a tenth off, rounded up.
func (a autoscaler) next(replicas, used int) int {
	target := float64(a.cpuRequest) * float64(*a.metrics[0].Resource.Target.AverageUtilization) / 100
	ratio := float64(used) / float64(replicas) / target
	if math.Abs(ratio-1) <= 0.1 {
		return replicas
	}
	return min(max(int(math.Ceil(ratio*float64(replicas))), a.min), a.max)
}

// autoscalers of a scenario by service.
func autoscalers(t *testing.T, scenario string) map[string]autoscaler {
	t.Helper()
	all := map[string]autoscaler{}
	rendered := mustRender(t, "agentbus", scenario)
	for _, o := range rendered {
		if o.GetKind() == "HorizontalPodAutoscaler" {
			spec := typed(t, o).(*autoscalingv2.HorizontalPodAutoscaler).Spec
			all[strings.TrimPrefix(spec.ScaleTargetRef.Name, "agentbus-")] = autoscaler{metrics: spec.Metrics, min: int(*spec.MinReplicas), max: int(spec.MaxReplicas)}
		}
	}
	for _, o := range rendered {
		name := strings.TrimPrefix(o.GetName(), "agentbus-")
		if a, scaled := all[name]; scaled && o.GetKind() == "Deployment" {
			resources := typed(t, o).(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Resources
			a.cpuRequest, a.cpuLimit = int(resources.Requests.Cpu().MilliValue()), int(resources.Limits.Cpu().MilliValue())
			all[name] = a
		}
	}
	return all
}
