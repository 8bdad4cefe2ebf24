package localstack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// target is one entry of a file that Prometheus' file_sd_configs reads.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func targetsFile(dir string) string { return filepath.Join(dir, "targets.json") }

// writeTargets tells a Prometheus on this machine where the services' metrics are, see deploy/prometheus. Each
// process is a target of the job named after its service.
func (s *Stack) writeTargets() error {
	targets := []target{} // never null, which Prometheus does not read
	for _, p := range s.processes {
		if addr := strings.TrimPrefix(p.URL("OPS_ADDR"), "http://"); addr != "" {
			targets = append(targets, target{[]string{addr}, map[string]string{"job": p.Service}})
		}
	}
	data, err := json.MarshalIndent(targets, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(targetsFile(s.opts.Dir), append(data, '\n'), 0o644)
}
