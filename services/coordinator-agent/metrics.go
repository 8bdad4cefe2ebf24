package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics count what this replica did; over all replicas they sum up.
type metrics struct {
	created prometheus.Counter
	ended   *prometheus.CounterVec // state
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		created: f.NewCounter(prometheus.CounterOpts{Name: "agentbus_coordinator_workflows_created_total", Help: "Workflows this replica created."}),
		ended: f.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_coordinator_workflows_ended_total",
			Help: "Workflows this replica brought to their end, by how."}, []string{"state"}),
	}
}
