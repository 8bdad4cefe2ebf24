package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentbus/deploy/agentctl/record"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
)

// TestWorkflowReachesEveryConsumer runs while nothing else does: metrics have no workflow's label.
func TestWorkflowReachesEveryConsumer(t *testing.T) {
	s := system{t, shared}
	b := s.openBus()
	before, err := record.Scrape(t.Context(), s.URLs("metrics-collector", "OPS_ADDR")...)
	if err != nil {
		t.Fatal(err)
	}
	id := s.create(greeter("complete", nil))
	frames := s.collect(id)
	w := s.awaitCompleted(id)
	published := s.recordsAgree(b, id, frames, false)
	s.stagesOnce(published)

	servertest.Eventually(t, 10*time.Second, func() error {
		counted, err := record.Scrape(t.Context(), s.URLs("metrics-collector", "OPS_ADDR")...)
		if err != nil {
			return err
		}
		if got, want := counted.Since(before), record.Count(published); !maps.Equal(got, want) {
			return fmt.Errorf("counted %v, published %v", got, want)
		}
		return nil
	})

	var deployed struct{ URL string }
	if err := json.Unmarshal(w.StageOf("deployment").Summary, &deployed); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(deployed.URL + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the delivered service's health is %s", response.Status)
	}
	rows, err := record.ReadRows(t.Context(), s.DatabaseURL, id)
	if err != nil {
		t.Fatal(err)
	}
	if rows.Workflow.State != "completed" || rows.Workflow.Percent != 100 || len(rows.Stages) != 4 {
		t.Errorf("PostgreSQL has %+v and %d stage results", *rows.Workflow, len(rows.Stages))
	}
}

func TestWorkflowFails(t *testing.T) {
	// Put together here, so that no scanner takes this file for a leak.
	awsKey := "AKIA" + "Q3EGRT5XWZ2MNP7L"
	generation := func(parameters map[string]any) map[events.Stage]map[string]any {
		return map[events.Stage]map[string]any{events.Generation: parameters}
	}
	for name, tc := range map[string]struct {
		stages map[events.Stage]map[string]any
		stage  events.Stage
		code   string
		reason string // a part of it
	}{
		"broken test":      {generation(map[string]any{"expected_message": "Bye"}), events.Testing, "tests_failed", "TestGreetingFor"},
		"planted AWS key":  {generation(map[string]any{"files": map[string]string{"config/keys.go": "package config\n\nconst key = \"" + awsKey + "\"\n"}}), events.Audit, "findings", "config/keys.go:3"},
		"unknown template": {generation(map[string]any{"template": "cobol-mainframe"}), events.Generation, "unknown_template", "go-http-service"},
		"health check never answers": {map[events.Stage]map[string]any{
			events.Generation: {"startup_delay_seconds": 3600}, events.Deployment: {"health_timeout_seconds": 1},
		}, events.Deployment, "unhealthy", "GET /healthz"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := greeter("fails-"+strings.ToLower(strings.ReplaceAll(name, " ", "-")), tc.stages)
			system{t, shared}.fails(r, tc.stage, tc.code, tc.reason)
		})
	}
}

func TestWorkflowFailsWithoutAgent(t *testing.T) {
	s := system{t, shared}
	agent := s.Process("audit-agent-1")
	t.Cleanup(func() { s.start(agent) })
	if err := agent.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.fails(greeter("no-auditor", nil), events.Audit, "agent_unavailable", "no audit-agent is running")
}

// fails checks that the workflow fails so, in the API, in PostgreSQL and in the live view.
func (s system) fails(r request, stage events.Stage, code, reason string) {
	s.Helper()
	id := s.create(r)
	frames := s.collect(id)
	w := s.awaitEnd(id)
	if w.State != "failed" || w.Stage != string(stage) || w.Code != code || !strings.Contains(w.Reason, reason) {
		s.Errorf("API: %s at %s (%s): %s", w.State, w.Stage, w.Code, w.Reason)
	}
	servertest.Eventually(s.TB, 15*time.Second, func() error {
		rows, err := record.ReadRows(s.Context(), s.DatabaseURL, id)
		if err != nil {
			return err
		}
		if row := rows.Workflow; row == nil || row.State != "failed" || row.Stage != string(stage) || row.Code != code || row.Reason != w.Reason {
			return fmt.Errorf("PostgreSQL has %+v, want the state failed at %s (%s): %s", row, stage, code, w.Reason)
		}
		for _, e := range frames.Events() {
			if p, err := events.PayloadOf[events.WorkflowFailedData](e); e.Type == events.WorkflowFailed && err == nil {
				if p.Stage != stage || p.Code != code || p.Reason != w.Reason {
					return fmt.Errorf("WebSocket told %+v", *p)
				}
				return nil
			}
		}
		return fmt.Errorf("WebSocket told no workflow.failed in %d frames", len(frames.Events()))
	})
}
