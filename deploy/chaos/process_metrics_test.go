package chaos

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"agentbus/deploy/localstack"
)

// sample is the sum of a metric of a process over the series whose labels hold the value, all of them
// where it is "".
func (s *system) sample(p *localstack.Process, metric, value string) (sum float64) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, p.URL("OPS_ADDR")+"/metrics", nil)
	if err != nil {
		s.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	for _, m := range families[metric].GetMetric() {
		has := value == ""
		for _, label := range m.GetLabel() {
			has = has || label.GetValue() == value
		}
		if has {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// failures are the transactions of a db-writer that failed so.
func (s *system) failures(p *localstack.Process, kind string) float64 {
	s.Helper()
	return s.sample(p, "agentbus_db_failures_total", kind)
}

// peak is the most memory that a process has had resident, in bytes.
func peak(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("VmHWM of %d: %v", pid, err)
	}
	return kib << 10
}
