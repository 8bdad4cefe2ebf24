package record

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"agentbus/pkg/events"
)

// eventsCounter is the metrics-collector's count of events by type.
const eventsCounter = "agentbus_events_total"

// Samples is how many events of each type the metrics collectors have counted.
type Samples map[events.Type]int

// Scrape adds up the counters of all replicas, whose ops addresses these are.
func Scrape(ctx context.Context, ops ...string) (Samples, error) {
	all := Samples{}
	for _, address := range ops {
		families, err := scrape(ctx, address+"/metrics")
		if err != nil {
			return nil, err
		}
		for _, m := range families[eventsCounter].GetMetric() {
			for _, label := range m.GetLabel() {
				// Types that have not come yet are shown as 0.
				if n := m.GetCounter().GetValue(); label.GetName() == "type" && n > 0 {
					all[events.Type(label.GetValue())] += int(n)
				}
			}
		}
	}
	return all, nil
}

func scrape(ctx context.Context, url string) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return families, nil
}

// Since is what was counted after before was.
func (s Samples) Since(before Samples) Samples {
	after := maps.Clone(s)
	for t, n := range before {
		if after[t] -= n; after[t] == 0 {
			delete(after, t)
		}
	}
	return after
}

// Total is the sum over all types.
func (s Samples) Total() (n int) {
	for _, count := range s {
		n += count
	}
	return n
}

// Count is how many of the events there are of each type: what samples should be.
func Count(list []events.Event) Samples {
	s := Samples{}
	for _, e := range list {
		s[e.Type]++
	}
	return s
}
