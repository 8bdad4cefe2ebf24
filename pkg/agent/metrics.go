package agent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"agentbus/pkg/events"
)

// metrics of one stage's tasks. The outcomes are succeeded, failed and cancelled.
type metrics struct {
	duration *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer, stage events.Stage) *metrics {
	return &metrics{duration: promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
		Name: "agentbus_agent_task_duration_seconds", Help: "Duration of the tasks that were answered.",
		ConstLabels: prometheus.Labels{"stage": string(stage)}, Buckets: prometheus.ExponentialBuckets(0.05, 2, 14),
	}, []string{"outcome"})}
}

func (m *metrics) ended(outcome string, d time.Duration) {
	m.duration.WithLabelValues(outcome).Observe(d.Seconds())
}
