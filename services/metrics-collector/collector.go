package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// collector is the group's handler. Its labels come from the catalogue: 20 types, 4 stages and the ways
// they end; never from what a producer may choose.
type collector struct {
	now func() time.Time

	events, unreadable, skewed *prometheus.CounterVec
	propagation                *prometheus.HistogramVec
	stages, workflows          *prometheus.HistogramVec
	reached                    *prometheus.CounterVec

	byType map[events.Type]*tally
}

// tally is where the events of one type are counted, looked up once: asking for a child of a metric by
// its labels costs as much as counting.
type tally struct {
	events      prometheus.Counter
	propagation prometheus.Observer
	reached     prometheus.Counter  // nil: no state of a workflow
	duration    prometheus.Observer // nil: ends nothing
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
	// All are shown from the start, so that the first one makes a rate.
	c.byType = make(map[events.Type]*tally)
	for _, spec := range events.Catalogue() {
		c.byType[spec.Type] = &tally{
			events:      c.events.WithLabelValues(string(spec.Type)),
			propagation: c.propagation.WithLabelValues(string(spec.Type)),
		}
	}
	c.byType[events.WorkflowCreated].reached = c.reached.WithLabelValues("created")
	c.byType[events.WorkflowStarted].reached = c.reached.WithLabelValues("running")
	for typ, outcome := range map[events.Type]string{events.WorkflowCompleted: "completed", events.WorkflowFailed: "failed", events.WorkflowCancelled: "cancelled"} {
		c.byType[typ].reached = c.reached.WithLabelValues(outcome)
		c.byType[typ].duration = c.workflows.WithLabelValues(outcome)
	}
	for _, s := range events.Stages() {
		c.byType[s.Done()].duration = c.stages.WithLabelValues(string(s), "completed")
		c.byType[s.Failed()].duration = c.stages.WithLabelValues(string(s), "failed")
	}
	return c
}

// handle counts a batch. It cannot fail. Of a payload only the duration is looked at; one that cannot be
// read is counted as such, and the groups that need the payload report what else is wrong. There are no
// types but the catalogue's: the bus hands on no other.
func (c *collector) handle(_ context.Context, batch []consumer.Message) []error {
	now := c.now()
	for i := range batch {
		e := &batch[i].Event
		t := c.byType[e.Type]
		t.events.Inc()
		took := now.Sub(e.Timestamp)
		if took < 0 {
			c.skewed.WithLabelValues(string(e.Type)).Inc()
			took = 0
		}
		t.propagation.Observe(took.Seconds())
		if t.reached != nil {
			t.reached.Inc()
		}
		if t.duration == nil {
			continue
		}
		if ms, ok := durationOf(e.Data); ok {
			t.duration.Observe(float64(ms) / 1000)
		} else {
			c.unreadable.WithLabelValues(string(e.Type)).Inc()
		}
	}
	return nil
}

// durationOf reads how long the work took, in milliseconds, out of a payload that ends something; ok is
// false when that is no whole number from 0 on. A payload without it took 0 ms, as for [events.PayloadOf].
func durationOf(data []byte) (ms int64, ok bool) {
	var p struct {
		DurationMS int64 `json:"duration_ms"`
	}
	err := json.Unmarshal(data, &p)
	return p.DurationMS, err == nil && p.DurationMS >= 0
}
