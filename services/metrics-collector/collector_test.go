package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func message(typ events.Type, age time.Duration, data string) consumer.Message {
	return consumer.Message{Event: events.Event{Type: typ, Timestamp: now.Add(-age), Data: json.RawMessage(data)}}
}

func TestWhatIsCounted(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	c := newCollector(reg, func() time.Time { return now })
	c.handle(t.Context(), []consumer.Message{
		message(events.WorkflowCreated, time.Second, `{}`),
		message(events.WorkflowFailed, 3*time.Millisecond, `{"stage":"audit","code":"findings","reason":"r","duration_ms":2500}`),
		message(events.AuditFailed, 0, `{"correlation_id":"7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10","attempt":1,"duration_ms":400,"code":"c","reason":"r"}`),
		message(events.DeploymentConfirmed, 0, `{"correlation_id":"7d0f1c9e-2f0b-4c55-9a53-0b7c5a6a1f10","attempt":1,"duration_ms":1000}`),
		message(events.WorkflowCompleted, -time.Hour, `{"duration_ms":"long"}`), // from the future, and wrong
	})
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP agentbus_event_clock_skew_total Events from the future: a producer's clock is ahead. Their propagation counts as 0.
# TYPE agentbus_event_clock_skew_total counter
agentbus_event_clock_skew_total{type="workflow.completed"} 1
# HELP agentbus_event_payload_errors_total Events whose payload is not what their type says; they are counted, their durations are not known.
# TYPE agentbus_event_payload_errors_total counter
agentbus_event_payload_errors_total{type="workflow.completed"} 1
# HELP agentbus_workflows_total Workflows that reached a state: created, running, completed, failed, cancelled.
# TYPE agentbus_workflows_total counter
agentbus_workflows_total{state="cancelled"} 0
agentbus_workflows_total{state="completed"} 1
agentbus_workflows_total{state="created"} 1
agentbus_workflows_total{state="failed"} 1
agentbus_workflows_total{state="running"} 0
`), "agentbus_event_clock_skew_total", "agentbus_event_payload_errors_total", "agentbus_workflows_total"); err != nil {
		t.Error(err)
	}
	sums := map[string]float64{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				sums[name] = h.GetSampleSum()
			}
		}
	}
	for name, want := range map[string]float64{
		"agentbus_event_propagation_seconds workflow.created":   1,
		"agentbus_event_propagation_seconds workflow.failed":    .003,
		"agentbus_event_propagation_seconds workflow.completed": 0,
		"agentbus_stage_duration_seconds failed audit":          .4,
		"agentbus_stage_duration_seconds completed deployment":  1,
		"agentbus_workflow_duration_seconds failed":             2.5,
	} {
		if got, ok := sums[name]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	if n := testutil.CollectAndCount(c.events); n != len(events.Catalogue()) {
		t.Errorf("%d types are shown from the start, want all %d", n, len(events.Catalogue()))
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]int64{
		`{"duration_ms":0}`: 0, `{"summary":{"duration_ms":7},"duration_ms": 8 }`: 8, `{"reason":"\"duration_ms\":9"}`: 0, `{}`: 0,
		`{"duration_ms":-1}`: -1, `{"duration_ms":1.5}`: -1, `{"duration_ms":"1"}`: -1, `{"duration_ms":9223372036854775808}`: -1,
	} {
		ms, ok := durationOf([]byte(data))
		if !ok {
			ms = -1
		}
		if ms != want {
			t.Errorf("%s took %d ms, want %d", data, ms, want)
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	answer := []inspect.GroupStatus{
		{Group: "db_writers", Members: 2, Suspect: 1, Lag: 7, Pending: 3, DeadLetters: 1, OldestAge: 90 * time.Second},
		{Group: "gone", Members: 1, Suspect: 1},
	}
	var failure error
	g := newGroups(reg, zerolog.Nop(), func(context.Context) ([]inspect.GroupStatus, error) { return answer, failure })
	g.look(t.Context())
	answer = answer[:1]
	g.look(t.Context())
	failure, answer = errors.New("no Redis"), nil
	g.look(t.Context()) // what was known stays, its time says how old it is
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP agentbus_group_lag_entries Entries not yet delivered to the group.
# TYPE agentbus_group_lag_entries gauge
agentbus_group_lag_entries{group="db_writers"} 7
# HELP agentbus_group_members Processes that read for the group and are alive.
# TYPE agentbus_group_members gauge
agentbus_group_members{group="db_writers"} 2
# HELP agentbus_group_oldest_age_seconds Age of the oldest entry the group has not acknowledged, by Redis' clock; 0 when there is none.
# TYPE agentbus_group_oldest_age_seconds gauge
agentbus_group_oldest_age_seconds{group="db_writers"} 90
# HELP agentbus_group_suspect_members Members whose leases stand still for 7 s or more: they died or hang.
# TYPE agentbus_group_suspect_members gauge
agentbus_group_suspect_members{group="db_writers"} 1
`), "agentbus_group_lag_entries", "agentbus_group_members", "agentbus_group_oldest_age_seconds", "agentbus_group_suspect_members"); err != nil {
		t.Error(err)
	}
}
