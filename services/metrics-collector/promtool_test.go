package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestAlerts plays the scenarios of the rules: Prometheus' own tool says when each alert fires and when it
// does not, and that it takes the configuration.
func TestAlerts(t *testing.T) {
	t.Parallel()
	tool, err := promtool()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ verb, what, files string }{
		{"check", "config", prometheusDir + "/prometheus.yml"},
		{"check", "rules", ruleFiles},
		{"test", "rules", prometheusDir + "/tests/*.yml"},
	} {
		t.Run(c.verb+" "+c.what, func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob(c.files)
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %v, %v", c.files, files, err)
			}
			if out, err := exec.CommandContext(t.Context(), tool, append([]string{c.verb, c.what}, files...)...).CombinedOutput(); err != nil {
				t.Errorf("promtool %s %s: %v\n%s", c.verb, c.what, err, out)
			}
		})
	}
}

// promtool is the one in PATH, or the one deploy/install-deps.sh fetched.
func promtool() (string, error) {
	const fetched = "../../bin/tools/promtool"
	for _, name := range []string{"promtool", fetched} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("promtool is missing; run: deploy/install-deps.sh --for-tests")
}
