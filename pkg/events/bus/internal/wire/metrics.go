package wire

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Register registers a metric of the bus, or returns the one that is there under its
// name: a process may join several groups. Labels come from closed sets: groups, error
// classes.
func Register[M prometheus.Collector](c *Conn, metric M) M {
	if c.Metrics == nil {
		return metric
	}
	var there prometheus.AlreadyRegisteredError
	if err := c.Metrics.Register(metric); errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(M); ok {
			return same
		}
	} else if err != nil {
		panic(err) // two metrics of one name and other labels: a mistake in the code
	}
	return metric
}

// LostToTrim counts, by group, for both who notice it: who trims, and who finds an
// entry gone.
func (c *Conn) LostToTrim() *prometheus.CounterVec {
	return Register(c, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_bus_lost_to_trim_total",
		Help: "Entries the hard cap removed before this group handled them: lost to it."}, []string{"group"}))
}
