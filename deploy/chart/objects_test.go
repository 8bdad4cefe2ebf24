package chart_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

var update = flag.Bool("update", false, "write testdata anew")

// foreign are kinds whose types are not Kubernetes' own; the golden files hold them.
var foreign = []string{"monitoring.coreos.com", "keda.sh"}

// typed decodes an object into the type of its API; an unknown field is an error.
func typed(t *testing.T, o unstructured.Unstructured) runtime.Object {
	t.Helper()
	kind := o.GroupVersionKind()
	into, err := scheme.Scheme.New(kind)
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, into, true); err != nil {
		t.Errorf("%s %s: %v", kind.Kind, o.GetName(), err)
	}
	return into
}

func TestObjectsAreWhatTheirAPIsTake(t *testing.T) {
	for _, scenario := range scenarios(t) {
		seen := map[schema.GroupVersionKind]map[string]bool{}
		for _, o := range mustRender(t, "agentbus", scenario) {
			kind := o.GroupVersionKind()
			if !slices.Contains(foreign, kind.Group) {
				typed(t, o)
			}
			if seen[kind] == nil {
				seen[kind] = map[string]bool{}
			}
			if seen[kind][o.GetName()] {
				t.Errorf("%s: two %s are named %s", scenario, kind.Kind, o.GetName())
			}
			seen[kind][o.GetName()] = true
			for _, label := range []string{"name", "instance", "component", "version", "managed-by"} {
				if o.GetLabels()["app.kubernetes.io/"+label] == "" {
					t.Errorf("%s: %s %s has no label app.kubernetes.io/%s", scenario, kind.Kind, o.GetName(), label)
				}
			}
		}
	}
}

// pod is a pod template of the chart and whose it is.
type pod struct {
	owner string
	meta  map[string]string // labels
	spec  corev1.PodSpec
}

func pods(t *testing.T, scenario string) (all []pod) {
	t.Helper()
	for _, o := range mustRender(t, "agentbus", scenario) {
		if slices.Contains(foreign, o.GroupVersionKind().Group) {
			continue
		}
		switch o := typed(t, o).(type) {
		case *appsv1.Deployment:
			all = append(all, pod{o.Name, o.Spec.Template.Labels, o.Spec.Template.Spec})
		case *batchv1.Job:
			all = append(all, pod{o.Name, o.Spec.Template.Labels, o.Spec.Template.Spec})
		case *corev1.Pod:
			all = append(all, pod{o.Name, o.Labels, o.Spec})
		}
	}
	return all
}

func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, scenario := range scenarios(t) {
		for _, p := range pods(t, scenario) {
			for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &metav1.ObjectMeta{Labels: p.meta}, &p.spec) {
				if !result.Allowed {
					t.Errorf("%s: %s: %s: %s", scenario, p.owner, result.ForbiddenReason, result.ForbiddenDetail)
				}
			}
			if p.spec.AutomountServiceAccountToken == nil || *p.spec.AutomountServiceAccountToken {
				t.Errorf("%s: %s mounts a token of its service account", scenario, p.owner)
			}
			for _, c := range append(p.spec.InitContainers, p.spec.Containers...) {
				checkContainer(t, scenario+": "+p.owner+"/"+c.Name, c)
			}
		}
	}
}

func checkContainer(t *testing.T, where string, c corev1.Container) {
	t.Helper()
	if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
		t.Errorf("%s: its root can be written to", where)
	}
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s: needs a request of CPU and a limit of memory", where)
	}
	for _, e := range c.Env {
		if e.Name == "GOMEMLIMIT" {
			if limit := resource.MustParse(e.Value); limit.Cmp(*c.Resources.Limits.Memory()) >= 0 {
				t.Errorf("%s: GOMEMLIMIT %s is not below the limit %s", where, e.Value, c.Resources.Limits.Memory())
			}
		}
		if generated.MatchString(e.Value) || strings.Contains(e.Value, "@") {
			t.Errorf("%s: %s holds a secret", where, e.Name)
		}
	}
	if p := c.LivenessProbe; p != nil && p.HTTPGet != nil && p.HTTPGet.Path != "/livez" {
		t.Errorf("%s: liveness asks %s", where, p.HTTPGet.Path)
	}
}

// The directories under services/ are the one list; the chart's values must agree with it.
func TestServicesAreTheDirectories(t *testing.T) {
	entries, err := os.ReadDir("../../services")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, e := range entries {
		want = append(want, e.Name())
	}
	var got []string
	services, _ := load(t).Values["services"].(map[string]any)
	for name := range services {
		got = append(got, name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("values.yaml has the services %v, the directories are %v", got, want)
	}
	all := pods(t, "defaults")
	for _, name := range want {
		i := slices.IndexFunc(all, func(p pod) bool { return p.owner == "agentbus-"+name })
		if i < 0 {
			t.Errorf("no deployment of %s", name)
			continue
		}
		spec := all[i].spec
		grace := spec.Containers[0].Env[slices.IndexFunc(spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "SHUTDOWN_GRACE" })].Value
		if grace != "25s" || *spec.TerminationGracePeriodSeconds != 35 {
			t.Errorf("%s: SHUTDOWN_GRACE %s in a grace period of %d s", name, grace, *spec.TerminationGracePeriodSeconds)
		}
	}
}

func TestTwoReleasesShareNoName(t *testing.T) {
	names := map[string]bool{}
	for _, o := range mustRender(t, "one", "defaults") {
		names[o.GetKind()+"/"+o.GetName()] = true
	}
	for _, o := range mustRender(t, "two", "defaults") {
		if names[o.GetKind()+"/"+o.GetName()] {
			t.Errorf("both releases have %s %s", o.GetKind(), o.GetName())
		}
	}
}

// Names are DNS labels, for which Helm's longest release name must leave room.
func TestNamesAreShortEnough(t *testing.T) {
	for _, o := range mustRender(t, strings.Repeat("r", 53), "everything") {
		if len(o.GetName()) > 63 {
			t.Errorf("%s %s has %d characters, 63 is what Kubernetes takes", o.GetKind(), o.GetName(), len(o.GetName()))
		}
	}
}

func TestLint(t *testing.T) {
	for _, scenario := range scenarios(t) {
		lint := action.NewLint()
		lint.Strict, lint.Namespace = true, "test"
		path, err := filepath.Abs(chartDir)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range lint.Run([]string{path}, values(t, scenario)).Errors {
			t.Errorf("%s: %v", scenario, err)
		}
	}
}
