package consumer

import (
	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events/bus/internal/wire"
)

// metrics of one group's member.
type metrics struct {
	retried, deadLettered                               *prometheus.CounterVec // by group and class
	handled, claimed, duplicates, recreated, lostToTrim prometheus.Counter
	handlerSeconds                                      prometheus.Observer
	inFlight, waiting, outage                           prometheus.Gauge
}

func newMetrics(c *wire.Conn, group string) metrics {
	byClass := func(name, help string) *prometheus.CounterVec {
		return wire.Register(c, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_bus_" + name, Help: help}, []string{"group", "class"}))
	}
	counter := func(name, help string) prometheus.Counter {
		return wire.Register(c, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_bus_" + name, Help: help}, []string{"group"})).WithLabelValues(group)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return wire.Register(c, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "agentbus_bus_" + name, Help: help}, []string{"group"})).WithLabelValues(group)
	}
	return metrics{
		retried:      byClass("retried_total", "Attempts that failed and are tried again."),
		deadLettered: byClass("dead_letters_total", "Events moved to the dead letters."),
		handled:      counter("handled_total", "Events handled and acknowledged."),
		claimed:      counter("claimed_total", "Entries taken over from a dead member, or found stranded under the own name."),
		duplicates:   counter("duplicates_dropped_total", "Entries added without seq whose event id was known."),
		recreated:    counter("group_recreated_total", "Times the group was missing in Redis and made again."),
		lostToTrim:   c.LostToTrim().WithLabelValues(group),
		handlerSeconds: wire.Register(c, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "agentbus_bus_handler_seconds",
			Help: "One run of a handler, or of a batch.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 12)}, []string{"group"})).WithLabelValues(group),
		inFlight: gauge("in_hand", "Events read and not yet acknowledged by this member."),
		waiting:  gauge("dead_letters_waiting", "Dead letters that Redis has not taken; their entries stay pending."),
		outage:   gauge("sink_unavailable", "1 while the group's sink is unavailable and reading has stopped."),
	}
}
