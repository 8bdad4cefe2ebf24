package stack

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"agentbus/deploy/bench/workload"
)

// Process is what a process used, per published event.
type Process struct {
	Name    string
	CPU     float64 // microseconds
	Bytes   float64 // allocated; 0: not a Go program
	PeakMiB float64 // resident
}

type usage struct {
	name      string
	cpu       time.Duration
	allocated float64
	peak      float64
}

// usage is what each process has used so far.
func (s *Stack) usage(ctx context.Context) ([]usage, error) {
	list := []usage{{name: "redis", cpu: workload.CPUOf(s.Redis.PID()), peak: workload.PeakMiB(s.Redis.PID())}, {name: "postgres", cpu: treeCPU(s.Postgres.PID()), peak: workload.PeakMiB(s.Postgres.PID())}}
	for _, name := range Consumers {
		p := s.services.Process(name + "-1")
		families, err := metrics(ctx, p.URL("OPS_ADDR"))
		if err != nil {
			return nil, err
		}
		u := usage{name: name, cpu: workload.CPUOf(p.PID()), peak: workload.PeakMiB(p.PID())}
		if f := families["go_memstats_alloc_bytes_total"]; f != nil {
			u.allocated = f.GetMetric()[0].GetCounter().GetValue()
		}
		list = append(list, u)
	}
	return list, nil
}

func perEvent(before, after []usage, n int) (list []Process) {
	for i, u := range after {
		list = append(list, Process{Name: u.name, CPU: float64((u.cpu - before[i].cpu).Microseconds()) / float64(n),
			Bytes: (u.allocated - before[i].allocated) / float64(n), PeakMiB: u.peak})
	}
	return list
}

// treeCPU is that of PostgreSQL: its processes are children of one.
func treeCPU(pid int) time.Duration {
	sum := workload.CPUOf(pid)
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // none where there is no /proc
	for child := range strings.FieldsSeq(string(raw)) {
		if n, err := strconv.Atoi(child); err == nil {
			sum += treeCPU(n)
		}
	}
	return sum
}

// histogram is cumulative counts by upper bound in seconds.
type histogram map[float64]float64

// scrape reads the collector's propagation times, of all types together.
func (s *Stack) scrape(ctx context.Context) (histogram, error) {
	families, err := metrics(ctx, s.services.URL("metrics-collector", "OPS_ADDR"))
	if err != nil {
		return nil, err
	}
	h := histogram{}
	for _, m := range families["agentbus_event_propagation_seconds"].GetMetric() {
		for _, b := range m.GetHistogram().GetBucket() {
			h[b.GetUpperBound()] += float64(b.GetCumulativeCount())
		}
	}
	return h, nil
}

func (h histogram) since(before histogram) histogram {
	out := histogram{}
	for bound, n := range h {
		out[bound] = n - before[bound]
	}
	return out
}

// latency takes quantiles at the upper bound of the bucket they are in.
func (h histogram) latency() workload.Latency {
	at := func(q float64) float64 {
		all := 0.0
		for _, n := range h {
			all = max(all, n)
		}
		best := math.Inf(1)
		for bound, n := range h {
			if n >= q*all && bound < best {
				best = bound
			}
		}
		return best * 1000
	}
	return workload.Latency{P50: at(.5), P99: at(.99), P999: at(.999), Max: at(1)}
}

func metrics(ctx context.Context, base string) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(response.Body)
}
