package chart_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const chartDir = "../../helm/agentbus"

// scenarios are the values files beside the chart; defaults has none.
func scenarios(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(chartDir + "/ci/*-values.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in %s/ci: %v", chartDir, err)
	}
	names := []string{"defaults"}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), "-values.yaml"))
	}
	return names
}

func load(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// values of a scenario, or of a file's content.
func values(t *testing.T, scenario string) map[string]any {
	t.Helper()
	if scenario == "defaults" {
		return map[string]any{}
	}
	v, err := chartutil.ReadValuesFile(fmt.Sprintf("%s/ci/%s-values.yaml", chartDir, scenario))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// render is helm template: no cluster is asked anything.
func render(c *chart.Chart, release string, v map[string]any) (string, error) {
	kube, err := chartutil.ParseKubeVersion("v1.34.0")
	if err != nil {
		return "", err
	}
	install := action.NewInstall(new(action.Configuration))
	install.DryRun, install.ClientOnly, install.Replace = true, true, true
	install.ReleaseName, install.Namespace, install.KubeVersion = release, "test", kube
	out, err := install.Run(c, v)
	if err != nil {
		return "", err
	}
	// Hooks stand beside the manifest; helm template prints both.
	var text strings.Builder
	text.WriteString(out.Manifest)
	for _, hook := range out.Hooks {
		fmt.Fprintf(&text, "---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return text.String(), nil
}

func mustRender(t *testing.T, release, scenario string) []unstructured.Unstructured {
	t.Helper()
	text, err := render(load(t), release, values(t, scenario))
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, text)
}

func objects(t *testing.T, text string) (all []unstructured.Unstructured) {
	t.Helper()
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 1<<16); ; {
		var o unstructured.Unstructured
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

// generated are the secrets a render makes anew each time: random ones, and the digest of one.
var generated = regexp.MustCompile(`\b[A-Za-z0-9]{32}\b|\bsha256:[0-9a-f]{64}\b`)

func TestGolden(t *testing.T) {
	for _, scenario := range scenarios(t) {
		t.Run(scenario, func(t *testing.T) {
			text, err := render(load(t), "agentbus", values(t, scenario))
			if err != nil {
				t.Fatal(err)
			}
			got := []byte(generated.ReplaceAllString(text, "GENERATED"))
			file := "testdata/" + scenario + ".yaml"
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s: look at it with -update and git diff", file)
			}
		})
	}
}

func TestBadValuesAreNamed(t *testing.T) {
	tests := map[string]struct {
		values map[string]any
		want   string
	}{
		"misspelt key":              {map[string]any{"servces": map[string]any{}}, "'servces' not allowed"},
		"misspelt service":          {map[string]any{"services": map[string]any{"db-writr": map[string]any{}}}, "services.db-writr: there is no such service, there are "},
		"misspelt field":            {map[string]any{"services": map[string]any{"db-writer": map[string]any{"replcas": 2}}}, "'replcas' not allowed"},
		"wrong type":                {map[string]any{"defaults": map[string]any{"replicas": "many"}}, "/defaults/replicas"},
		"not a choice":              {map[string]any{"autoscaling": map[string]any{"kind": "knative"}}, "/autoscaling/kind"},
		"no secret for a store":     {map[string]any{"redis": map[string]any{"builtin": map[string]any{"enabled": false}}}, "redis.external.secret is not set"},
		"no bucket":                 {map[string]any{"artifacts": map[string]any{"builtin": map[string]any{"enabled": false}}}, "artifacts.external.url is not set"},
		"memory in a strange unit":  {map[string]any{"services": map[string]any{"db-writer": map[string]any{"resources": map[string]any{"limits": map[string]any{"memory": "1.5G"}}}}}, `resources.limits.memory "1.5G"`},
		"KEDA without a Prometheus": {map[string]any{"autoscaling": map[string]any{"kind": "keda"}}, "autoscaling.prometheusURL is not set"},
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			_, err := render(load(t), "agentbus", tests[name].values)
			if err == nil || !strings.Contains(err.Error(), tests[name].want) {
				t.Errorf("error %v, want %q in it", err, tests[name].want)
			}
		})
	}
}
