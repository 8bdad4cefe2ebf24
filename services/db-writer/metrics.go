package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics of the writer. Labels come from the closed set of [failure].
type metrics struct {
	stored, duplicates, poison prometheus.Counter
	batchRows, txSeconds       prometheus.Histogram
	failures                   *prometheus.CounterVec
	available                  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	rows := f.NewCounterVec(prometheus.CounterOpts{
		Name: "agentbus_db_rows_total",
		Help: "Events the database has dealt with: new (stored), known (stored before, nothing changed), poison (given up for their content).",
	}, []string{"outcome"})
	m := &metrics{
		stored:     rows.WithLabelValues("new"),
		duplicates: rows.WithLabelValues("known"),
		poison:     rows.WithLabelValues("poison"),
		batchRows: f.NewHistogram(prometheus.HistogramOpts{
			Name: "agentbus_db_batch_rows", Help: "Events in one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 14),
		}),
		txSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "agentbus_db_transaction_seconds", Help: "One transaction from begin to its end, in seconds.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
		failures: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentbus_db_failures_total",
			Help: "Transactions that failed, by who is to blame: data, schema, conflict, server.",
		}, []string{"kind"}),
		available: f.NewGauge(prometheus.GaugeOpts{
			Name: "agentbus_db_available", Help: "1 when the latest transaction or connection reached a database that takes writes, else 0.",
		}),
	}
	for _, kind := range []failure{failData, failSchema, failConflict, failServer} {
		m.failures.WithLabelValues(string(kind)) // shown from the start, so that a rate can be taken
	}
	return m
}
