package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/service"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// value sums a counter or gauge over the registries of all replicas; ok is false when none shows it.
func value(t *testing.T, registries []*prometheus.Registry, name, label string) (sum float64, ok bool) {
	t.Helper()
	for _, reg := range registries {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == name && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
					sum, ok = sum+m.GetCounter().GetValue()+m.GetGauge().GetValue(), true
				}
			}
		}
	}
	return sum, ok
}

func TestReplicasCountEachEventOnce(t *testing.T) {
	t.Parallel()
	cfg := Config{Config: bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t)}, GroupsEvery: 100 * time.Millisecond}
	b, err := bus.Open(t.Context(), cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var registries []*prometheus.Registry
	for range 2 {
		rt := service.NewRuntime(zerolog.Nop(), nil)
		registries = append(registries, rt.Metrics)
		wg.Go(func() {
			if err := run(ctx, cfg, rt); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	for range 2 { // the second is the same event
		event := fmt.Sprintf(`{"id":%q,"type":"WORKFLOW_STARTED","workflow_id":"by-hand","timestamp":"2026-01-02T03:04:05Z","data":{"stage":"audit"},"source_agent":"python"}`,
			uuid.NewSHA1(uuid.NameSpaceURL, []byte(cfg.Prefix+t.Name())))
		if err := b.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: b.Names().Stream(events.WorkflowStarted, 0), Values: []string{"data", event}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	const n = 150
	for i := range n {
		e, err := events.New(events.WorkflowProgressed, fmt.Sprintf("wf-%d", i%8), "tester", &events.WorkflowProgressedData{Percent: i % 100, Stage: events.Audit})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Eventually(t, 20*time.Second, func() error {
		progressed, _ := value(t, registries, "agentbus_events_total", "workflow.progressed")
		started, _ := value(t, registries, "agentbus_events_total", "workflow.started")
		if progressed != n || started != 1 {
			return fmt.Errorf("counted %v and %v, want %d and 1", progressed, started, n)
		}
		members, _ := value(t, registries, "agentbus_group_members", group)
		lag, shown := value(t, registries, "agentbus_group_lag_entries", group)
		if members != 4 || lag != 0 || !shown { // both replicas show the two members
			return fmt.Errorf("%v members, lag %v (%v); want 2 twice, and 0", members, lag, shown)
		}
		return nil
	})
}
