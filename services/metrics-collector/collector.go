package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// collector is the group's handler. Its labels come from the catalogue: 20 types, 4 stages and the ways
// they end; never from what a producer may choose.
type collector struct {
	now func() time.Time

	events, unreadable, skewed *prometheus.CounterVec
	propagation                *prometheus.HistogramVec
	stages, workflows          *prometheus.HistogramVec
	reached                    *prometheus.CounterVec
}

func newCollector(reg prometheus.Registerer, now func() time.Time) *collector {
	f := promauto.With(reg)
	c := &collector{
		now: now,
		events: f.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_events_total",
			Help: "Events, by type."}, []string{"type"}),
		unreadable: f.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_event_payload_errors_total",
			Help: "Events whose payload is not what their type says; they are counted, their durations are not known."}, []string{"type"}),
		skewed: f.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_event_clock_skew_total",
			Help: "Events from the future: a producer's clock is ahead. Their propagation counts as 0."}, []string{"type"}),
		propagation: f.NewHistogramVec(prometheus.HistogramOpts{Name: "agentbus_event_propagation_seconds",
			Help:    "From an event's timestamp, by its producer's clock, to its handling here.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}}, []string{"type"}),
		stages: f.NewHistogramVec(prometheus.HistogramOpts{Name: "agentbus_stage_duration_seconds",
			Help:    "Work of one try of a stage, as its agent measured it.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}}, []string{"stage", "outcome"}),
		workflows: f.NewHistogramVec(prometheus.HistogramOpts{Name: "agentbus_workflow_duration_seconds",
			Help:    "From workflow.created to its end, as the coordinator measured it.",
			Buckets: []float64{.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200}}, []string{"outcome"}),
		reached: f.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_workflows_total",
			Help: "Workflows that reached a state: created, running, completed, failed, cancelled."}, []string{"state"}),
	}
	// Shown from the start, so that the first one makes a rate.
	for _, spec := range events.Catalogue() {
		c.events.WithLabelValues(string(spec.Type))
	}
	for _, state := range []string{"created", "running", "completed", "failed", "cancelled"} {
		c.reached.WithLabelValues(state)
	}
	return c
}

// handle counts a batch. It cannot fail: a payload that cannot be read is counted as such, and the
// groups that need it report it.
func (c *collector) handle(_ context.Context, batch []bus.Message) []error {
	now := c.now()
	for _, m := range batch {
		typ := string(m.Event.Type)
		c.events.WithLabelValues(typ).Inc()
		took := now.Sub(m.Event.Timestamp)
		if took < 0 {
			c.skewed.WithLabelValues(typ).Inc()
			took = 0
		}
		c.propagation.WithLabelValues(typ).Observe(took.Seconds())
		if err := c.measure(m.Event); err != nil {
			c.unreadable.WithLabelValues(typ).Inc()
		}
	}
	return nil
}

// measure takes durations out of the events that end something.
func (c *collector) measure(e events.Event) error {
	switch e.Type {
	case events.WorkflowCreated:
		c.reached.WithLabelValues("created").Inc()
	case events.WorkflowStarted:
		c.reached.WithLabelValues("running").Inc()
	case events.WorkflowCompleted:
		p, err := events.PayloadOf[events.WorkflowCompletedData](e)
		return c.ended("completed", err, func() int64 { return p.DurationMS })
	case events.WorkflowFailed:
		p, err := events.PayloadOf[events.WorkflowFailedData](e)
		return c.ended("failed", err, func() int64 { return p.DurationMS })
	case events.WorkflowCancelled:
		p, err := events.PayloadOf[events.WorkflowCancelledData](e)
		return c.ended("cancelled", err, func() int64 { return p.DurationMS })
	}
	for _, s := range events.Stages() {
		switch e.Type {
		case s.Done():
			p, err := events.PayloadOf[events.StageDoneData](e)
			if err != nil {
				return err
			}
			c.stages.WithLabelValues(string(s), "completed").Observe(seconds(p.DurationMS))
		case s.Failed():
			p, err := events.PayloadOf[events.StageFailedData](e)
			if err != nil {
				return err
			}
			c.stages.WithLabelValues(string(s), "failed").Observe(seconds(p.DurationMS))
		}
	}
	return nil
}

// ended counts a workflow's end, and its duration where the payload could be read.
func (c *collector) ended(outcome string, err error, ms func() int64) error {
	c.reached.WithLabelValues(outcome).Inc()
	if err == nil {
		c.workflows.WithLabelValues(outcome).Observe(seconds(ms()))
	}
	return err
}

func seconds(ms int64) float64 { return float64(ms) / 1000 }
