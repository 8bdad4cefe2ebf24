package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"agentbus/deploy/agentctl/coordinator"
	"agentbus/deploy/agentctl/record"
	"agentbus/deploy/localstack"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// system is a stack as a test sees it.
type system struct {
	testing.TB
	*localstack.Stack
}

// request is a workflow's name and the parameters of its stages.
type request struct {
	name   string
	stages map[events.Stage]map[string]any
}

func (r request) json() []byte {
	stages := map[events.Stage]any{}
	for stage, parameters := range r.stages {
		stages[stage] = map[string]any{"parameters": parameters}
	}
	body, err := json.Marshal(map[string]any{"name": r.name, "stages": stages})
	if err != nil {
		panic(err) // of literals
	}
	return body
}

// greeter is a workflow that delivers a service, its stages told what is given beside. Its name begins
// with the given one, and is another one in each run on the same stack.
func greeter(name string, stages map[events.Stage]map[string]any) request {
	name += "-" + uuid.NewString()[:6]
	r := request{name, map[events.Stage]map[string]any{events.Generation: {"name": name}}}
	for stage, parameters := range stages {
		if r.stages[stage] == nil {
			r.stages[stage] = map[string]any{}
		}
		for key, value := range parameters {
			r.stages[stage][key] = value
		}
	}
	return r
}

// api is asked anew each time: a coordinator that was started again listens elsewhere.
func (s system) api() *coordinator.Client {
	return &coordinator.Client{Base: s.URL("coordinator-agent", "HTTP_ADDR")}
}

func (s system) create(r request) string {
	s.Helper()
	w, _, err := s.api().Create(s.Context(), r.json(), uuid.NewString())
	if err != nil {
		s.Fatal(err)
	}
	return w.ID
}

// await returns the workflow when ok says so.
func (s system) await(id string, timeout time.Duration, what string, ok func(coordinator.Workflow) bool) (w coordinator.Workflow) {
	s.Helper()
	servertest.Eventually(s.TB, timeout, func() (err error) {
		if w, err = s.api().Get(s.Context(), id); err != nil {
			return err
		}
		if !ok(w) {
			return fmt.Errorf("%s is not %s: it is %s at %s, %s %s", id, what, w.State, w.Stage, w.Code, w.Reason)
		}
		return nil
	})
	return w
}

// workflowTimeout is for a workflow on a machine that is busy with ten.
const workflowTimeout = 90 * time.Second

func (s system) awaitEnd(id string) coordinator.Workflow {
	s.Helper()
	return s.await(id, workflowTimeout, "at its end", func(w coordinator.Workflow) bool { return w.Final() })
}

func (s system) awaitCompleted(id string) coordinator.Workflow {
	s.Helper()
	w := s.awaitEnd(id)
	if w.State != "completed" {
		s.Fatalf("%s %s at %s (%s): %s", id, w.State, w.Stage, w.Code, w.Reason)
	}
	return w
}

// awaitWorking returns when the stage's tool is at work.
func (s system) awaitWorking(id string, stage events.Stage) {
	s.Helper()
	s.await(id, workflowTimeout, "at work on "+string(stage), func(w coordinator.Workflow) bool {
		st := w.StageOf(string(stage))
		return st.State == "running" && st.StartedAt != nil && st.Percent > 0
	})
}

func (s system) openBus() *bus.Bus {
	s.Helper()
	b, err := bus.Open(s.Context(), s.BusConfig())
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = b.Close() })
	return b
}

// collect receives a workflow's frames until the test ends, wherever the server listens by then.
func (s system) collect(id string) *record.Frames {
	f := record.Collect(s.Context(), func() string { return s.URL("websocket-manager", "HTTP_ADDR") }, id)
	s.Cleanup(f.Close)
	return f
}

// recordsAgree waits until each consumer has recorded what was published of the workflow, each event
// once. metrics have no workflow's label and are compared apart. A log-aggregator that was killed may
// have written a line that it could not acknowledge any more: then again allows it twice.
func (s system) recordsAgree(b *bus.Bus, id string, frames *record.Frames, again bool) (published []events.Event) {
	s.Helper()
	servertest.Eventually(s.TB, 30*time.Second, func() (err error) {
		if published, err = record.Published(s.Context(), b, id); err != nil {
			return err
		}
		stored, err := record.Stored(published)
		if err != nil {
			return err
		}
		rows, err := record.ReadRows(s.Context(), s.DatabaseURL, id)
		if err != nil {
			return err
		}
		lines, err := record.Lines(id, s.Logs("log-aggregator")...)
		if err != nil {
			return err
		}
		if again {
			slices.Sort(lines)
			lines = slices.Compact(lines)
		}
		return errors.Join(
			label("PostgreSQL", record.Difference(stored, rows.Updates)),
			label("WebSocket", errors.Join(record.Difference(published, record.IDs(frames.Events())), frames.Check())),
			label("log lines", record.Difference(published, lines)))
	})
	return published
}

func label(name string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// stagesOnce checks that every stage was announced and ended once.
func (s system) stagesOnce(published []events.Event) {
	s.Helper()
	count := record.Count(published)
	for _, stage := range events.Stages() {
		if count[stage.Started()] != 1 || count[stage.Done()] != 1 || count[stage.Failed()] != 0 {
			s.Errorf("%s: started %d times, done %d times, failed %d times", stage, count[stage.Started()], count[stage.Done()], count[stage.Failed()])
		}
	}
	for _, once := range []events.Type{events.WorkflowCreated, events.WorkflowStarted, events.WorkflowCompleted} {
		if count[once] != 1 {
			s.Errorf("%s was published %d times", once, count[once])
		}
	}
}

// start starts a process again, at the latest when the test ends.
func (s system) start(p *localstack.Process) {
	s.Helper()
	if p.Running() {
		return
	}
	// The test's own context may have ended already.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), time.Minute)
	defer cancel()
	if err := p.Start(ctx); err != nil {
		s.Fatal(err)
	}
}
