package consumer

import (
	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events/bus/internal/wire"
)

// metrics of one group's member. Labels come from closed sets: groups, error classes.
type metrics struct {
	retried, deadLettered                               *prometheus.CounterVec // by group and class
	handled, claimed, duplicates, recreated, lostToTrim prometheus.Counter
	handlerSeconds                                      prometheus.Observer
	inFlight, waiting, outage                           prometheus.Gauge
}

func newMetrics(c *wire.Conn, group string) metrics {
	return metrics{
		retried:        c.CounterVec("retried_total", "Attempts that failed and are tried again.", "group", "class"),
		deadLettered:   c.CounterVec("dead_letters_total", "Events moved to the dead letters.", "group", "class"),
		handled:        c.CounterVec("handled_total", "Events handled and acknowledged.", "group").WithLabelValues(group),
		claimed:        c.CounterVec("claimed_total", "Entries taken over from a dead member, or found stranded under the own name.", "group").WithLabelValues(group),
		duplicates:     c.CounterVec("duplicates_dropped_total", "Entries added without seq whose event id was known.", "group").WithLabelValues(group),
		recreated:      c.CounterVec("group_recreated_total", "Times the group was missing in Redis and made again.", "group").WithLabelValues(group),
		lostToTrim:     c.LostToTrim().WithLabelValues(group),
		handlerSeconds: c.Seconds("handler_seconds", "One run of a handler, or of a batch.", 4, 12, "group").WithLabelValues(group),
		inFlight:       c.GaugeVec("in_hand", "Events read and not yet acknowledged by this member.").WithLabelValues(group),
		waiting:        c.GaugeVec("dead_letters_waiting", "Dead letters that Redis has not taken; their entries stay pending.").WithLabelValues(group),
		outage:         c.GaugeVec("sink_unavailable", "1 while the group's sink is unavailable and reading has stopped.").WithLabelValues(group),
	}
}
