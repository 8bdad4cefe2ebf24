package bus

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics of one Bus. Labels come from closed sets: groups, error classes.
type metrics struct {
	published, deduplicated           prometheus.Counter
	publishSeconds                    prometheus.Histogram
	handled, retried, claimed         *prometheus.CounterVec
	duplicates, recreated, lostToTrim *prometheus.CounterVec
	deadLettered                      *prometheus.CounterVec
	handlerSeconds                    *prometheus.HistogramVec
	inHand, outage                    *prometheus.GaugeVec
	trimmed                           prometheus.Counter
	cappedUnacked                     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_bus_" + name, Help: help}, labels)
	}
	plain := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "agentbus_bus_" + name, Help: help})
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: "agentbus_bus_" + name, Help: help}, []string{"group"})
	}
	return &metrics{
		published:    plain("published_total", "Events Redis has taken from this process."),
		deduplicated: plain("deduplicated_total", "Events of this process whose id Redis knew already."),
		publishSeconds: f.NewHistogram(prometheus.HistogramOpts{Name: "agentbus_bus_publish_seconds",
			Help: "One round trip of a batch of events.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		handled:      counter("handled_total", "Events handled and acknowledged.", "group"),
		retried:      counter("retried_total", "Attempts that failed and are tried again.", "group", "class"),
		claimed:      counter("claimed_total", "Entries taken over from a dead member, or found stranded under the own name.", "group"),
		duplicates:   counter("duplicates_dropped_total", "Entries added without seq whose event id was known.", "group"),
		recreated:    counter("group_recreated_total", "Times the group was missing in Redis and made again.", "group"),
		lostToTrim:   counter("lost_to_trim_total", "Entries the hard cap removed before this group handled them: lost to it.", "group"),
		deadLettered: counter("dead_letters_total", "Events moved to the dead letters.", "group", "class"),
		handlerSeconds: f.NewHistogramVec(prometheus.HistogramOpts{Name: "agentbus_bus_handler_seconds",
			Help: "One run of a handler, or of a batch.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 12)}, []string{"group"}),
		inHand:        gauge("in_hand", "Events read and not yet acknowledged by this member."),
		outage:        gauge("sink_unavailable", "1 while the group's sink is unavailable and reading has stopped."),
		trimmed:       plain("trimmed_total", "Entries removed after every group acknowledged them."),
		cappedUnacked: plain("capped_unacknowledged_total", "Entries the hard cap removed before every group acknowledged them: data loss, but for what members had in hand."),
	}
}
