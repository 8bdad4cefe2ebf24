package main

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"

	"agentbus/pkg/events/bus/consumer"
	"agentbus/services/log-aggregator/redact"
)

// aggregator is the group's handler.
type aggregator struct {
	sinks  []*sink
	redact *redact.Redactor
	log    zerolog.Logger

	mu     sync.Mutex   // a batch at a time; the sinks take no more anyway
	room   bytes.Buffer // for a batch's lines, kept for the next one's
	failed bool         // the latest batch; so that a change of state is logged once

	lines, bytes prometheus.Counter
	failures     *prometheus.CounterVec
}

func newAggregator(reg prometheus.Registerer, log zerolog.Logger, r *redact.Redactor, sinks ...*sink) *aggregator {
	f := promauto.With(reg)
	a := &aggregator{
		sinks: sinks, redact: r, log: log,
		lines: f.NewCounter(prometheus.CounterOpts{Name: "agentbus_log_lines_total", Help: "Events written to every sink and acknowledged."}),
		bytes: f.NewCounter(prometheus.CounterOpts{Name: "agentbus_log_bytes_total", Help: "Bytes of these lines."}),
		failures: f.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_log_write_failures_total",
			Help: "Writes that failed, by sink; the events wait and are written again."}, []string{"sink"}),
	}
	for _, s := range sinks {
		a.failures.WithLabelValues(s.name)
	}
	return a
}

// handle writes a batch. Its events are acknowledged when every sink has every line. When one sink
// fails the whole batch comes again, so a line may stand twice in another: event_id tells.
func (a *aggregator) handle(_ context.Context, batch []consumer.Message) []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	outcome := make([]error, len(batch))
	if a.room.Cap() > chunkBytes { // what a batch of huge events took is not kept
		a.room = bytes.Buffer{}
	}
	a.room.Reset()
	enc, n := json.NewEncoder(&a.room), 0
	enc.SetEscapeHTML(false) // a line is no web page
	for i := range batch {
		if err := writeLine(enc, &batch[i], a.redact); err != nil {
			outcome[i] = consumer.Permanent(err)
			continue
		}
		n++
	}
	out := a.room.Bytes()
	for _, s := range a.sinks {
		if err := s.write(out); err != nil {
			a.failures.WithLabelValues(s.name).Inc()
			if !a.failed {
				a.failed = true
				a.log.Error().Err(err).Msg("lines cannot be written: the group waits")
			}
			for i := range outcome {
				if outcome[i] == nil {
					outcome[i] = consumer.Unavailable(err)
				}
			}
			return outcome
		}
	}
	if a.failed {
		a.failed = false
		a.log.Info().Msg("lines are written again")
	}
	a.lines.Add(float64(n))
	a.bytes.Add(float64(len(out)))
	return outcome
}
