package wire

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Counters, gauges and histograms of the bus are made by these functions. The same
// name registered again gives the metric that is there, since a process may join
// several groups. Labels come from closed sets: groups, error classes.

// Counter makes agentbus_bus_<name>.
func (c *Conn) Counter(name, help string) prometheus.Counter {
	return register(c.Metrics, prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help}))
}

// CounterVec makes agentbus_bus_<name> with labels.
func (c *Conn) CounterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return register(c.Metrics, prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels))
}

// GaugeVec makes agentbus_bus_<name> by group.
func (c *Conn) GaugeVec(name, help string) *prometheus.GaugeVec {
	return register(c.Metrics, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, []string{"group"}))
}

// Seconds makes the histogram agentbus_bus_<name> over so many buckets, each factor
// times as wide as the one before, from 0.1 ms on.
func (c *Conn) Seconds(name, help string, factor float64, buckets int, labels ...string) *prometheus.HistogramVec {
	return register(c.Metrics, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + name, Help: help,
		Buckets: prometheus.ExponentialBuckets(0.0001, factor, buckets)}, labels))
}

// LostToTrim counts for both who notice it: who trims, and who finds an entry gone.
func (c *Conn) LostToTrim() *prometheus.CounterVec {
	return c.CounterVec("lost_to_trim_total", "Entries the hard cap removed before this group handled them: lost to it.", "group")
}

const prefix = "agentbus_bus_"

func register[C prometheus.Collector](reg prometheus.Registerer, metric C) C {
	if reg == nil {
		return metric
	}
	var there prometheus.AlreadyRegisteredError
	if err := reg.Register(metric); errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(C); ok {
			return same
		}
	} else if err != nil {
		panic(err) // two metrics of one name and other labels: a mistake in the code
	}
	return metric
}
