package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"agentbus/deploy/agentctl/coordinator"
	"agentbus/deploy/agentctl/record"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
)

// TestKill kills one process with -9 while a workflow's tests run, and starts it again: the workflow
// completes, nothing is missing, and each stage's effect is there once.
func TestKill(t *testing.T) {
	for _, service := range []string{"coordinator-agent", "testing-agent", "websocket-manager", "db-writer", "metrics-collector", "log-aggregator"} {
		t.Run(service, func(t *testing.T) {
			s := system{t, shared}
			b := s.openBus()
			r := slow("killed-"+service, 2)
			id := s.create(r)
			frames := s.collect(id)
			s.awaitWorking(id, events.Testing)

			p := s.Process(service + "-1")
			p.Kill()
			t.Cleanup(func() { s.start(p) })
			// The others go on without it: something happens that it will have to catch up with.
			if service != "coordinator-agent" && service != "testing-agent" {
				s.await(id, workflowTimeout, "past testing", func(w coordinator.Workflow) bool { return w.Stage == "deployment" || w.Final() })
			}
			s.start(p)

			s.awaitCompleted(id)
			published := s.recordsAgree(b, id, frames, service == "log-aggregator")
			s.stagesOnce(published)
			rows, err := record.ReadRows(t.Context(), s.DatabaseURL, id)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows.Stages) != len(events.Stages()) {
				t.Errorf("stage_results has %+v", rows.Stages)
			}
			if service == "metrics-collector" {
				s.counts(events.WorkflowCompleted)
			}
			if n := s.releases(r.name); n != 1 {
				t.Errorf("there are %d releases", n)
			}
		})
	}
}

// counts checks that a collector that was started again counts what it missed.
func (s system) counts(typ events.Type) {
	s.Helper()
	servertest.Eventually(s.TB, 15*time.Second, func() error {
		counted, err := record.Scrape(s.Context(), s.URLs("metrics-collector", "OPS_ADDR")...)
		if err != nil {
			return err
		}
		if counted[typ] < 1 {
			return fmt.Errorf("%s was not counted: %v", typ, counted)
		}
		return nil
	})
}

// releases counts what was deployed of a service.
func (s system) releases(service string) int {
	s.Helper()
	found, err := os.ReadDir(filepath.Join(s.Dir(), "deploy", service, "releases"))
	if err != nil {
		s.Fatal(err)
	}
	return len(found)
}
