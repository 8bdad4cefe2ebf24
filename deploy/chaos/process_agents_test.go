package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"agentbus/deploy/agentctl/coordinator"
	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
)

// TestSIGTERMWhileWorkflowsRun ends each coordinator and each stage agent, the latter with a task in hand, while
// workflows go through them: it drains within its grace, every workflow completes, and each stage's work is done and told once.
func TestSIGTERMWhileWorkflowsRun(t *testing.T) {
	t.Parallel() // the tools mostly sleep
	groups := map[string]string{"coordinator-agent": "coordinators"}
	replicas, env := map[string]int{"coordinator-agent": 2, "db-writer": 1}, map[string]map[string]string{}
	works := filepath.Join(t.TempDir(), "works") // a line for each run of a tool, its order
	tool, err := json.Marshal([]string{"/bin/sh", "-c", `printf '%s\n' "$(cat)" >> "$0"; sleep 0.5; echo '{}'`, works})
	if err != nil {
		t.Fatal(err)
	}
	for _, stage := range events.Stages() {
		service := string(stage) + "-agent"
		groups[service], replicas[service], env[service] = stage.Group(), 2, map[string]string{"TOOL_COMMAND": string(tool)}
	}
	s := newSystem(t, replicas, env)
	w := s.startWorkflows(10)
	n, ends := rounds(1, 5), 0
	var slowest time.Duration
	for range n {
		for _, p := range s.Processes() {
			group := groups[p.Service]
			if group == "" || !p.Running() {
				continue // it is to record, or not part of this system
			}
			if p.Service != "coordinator-agent" { // one of those has nothing in hand for long
				servertest.Eventually(t, 30*time.Second, func() error {
					if held, _ := s.pending(group, p.Name); len(held) == 0 {
						return fmt.Errorf("%s has no task in hand", p.Name)
					}
					return nil
				})
			}
			slowest = max(slowest, s.takesLeave(p, group))
			s.start(p)
			ends++
		}
	}
	begun := time.Now()
	ids := w.end()
	s.settled(time.Minute)
	recovery := time.Since(begun)
	t.Logf("%d workflows; the slowest of %d ends took %s", len(ids), ends, slowest.Round(time.Millisecond))
	s.wentThrough(ids, works)
	r := s.balance("SIGTERM while workflows run", ends, recovery)
	s.noLetters(r)
}

// workflows are created one after the other by several clients, each when its last one has ended.
type workflows struct {
	s    *system
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu  sync.Mutex
	ids []string
}

func (s *system) startWorkflows(clients int) *workflows {
	ctx, cancel := context.WithCancel(s.Context())
	w := &workflows{s: s, stop: cancel}
	for range clients {
		w.wg.Go(func() {
			for ctx.Err() == nil && w.run() {
			}
		})
	}
	s.Cleanup(func() { w.end() })
	return w
}

// end lets those under way come to their end and returns the ids of all.
func (w *workflows) end() []string {
	w.stop()
	w.wg.Wait()
	return w.ids
}

// run takes one workflow from its creation to its end; false means that the test has failed.
func (w *workflows) run() bool {
	body, key := []byte(`{"name":"steady"}`), uuid.NewString()
	flow, err := w.ask(func(c *coordinator.Client) (coordinator.Workflow, error) {
		flow, _, err := c.Create(w.s.Context(), body, key)
		return flow, err
	})
	if err == nil {
		w.mu.Lock()
		w.ids = append(w.ids, flow.ID)
		w.mu.Unlock()
	}
	for end := time.Now().Add(time.Minute); err == nil && !flow.Final(); {
		if time.Now().After(end) {
			err = fmt.Errorf("it is %s at %s after a minute", flow.State, flow.Stage)
			break
		}
		<-time.After(100 * time.Millisecond)
		flow, err = w.ask(func(c *coordinator.Client) (coordinator.Workflow, error) { return c.Get(w.s.Context(), flow.ID) })
	}
	if err == nil && flow.State != "completed" {
		err = fmt.Errorf("it %s at %s (%s): %s", flow.State, flow.Stage, flow.Code, flow.Reason)
	}
	if err != nil {
		w.s.Errorf("workflow %s: %v", flow.ID, err)
	}
	return err == nil
}

// ask turns to any coordinator that listens, and to another one when the first goes without an answer: what is asked
// here is safe to repeat.
func (w *workflows) ask(call func(*coordinator.Client) (coordinator.Workflow, error)) (flow coordinator.Workflow, err error) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		for _, url := range w.s.URLs("coordinator-agent", "HTTP_ADDR") {
			flow, err = call(&coordinator.Client{Base: url})
			if answer := new(coordinator.Problem); err == nil || errors.As(err, &answer) {
				return flow, err
			}
		}
	}
	return flow, err
}

// wentThrough wants each stage of the workflows to have been done once and told once, and writes what was
// published into the books.
func (s *system) wentThrough(ids []string, works string) {
	s.Helper()
	done := map[string]int{} // by workflow and stage
	orders, err := os.ReadFile(works)
	if err != nil {
		s.Fatal(err)
	}
	for line := range bytes.Lines(orders) {
		var order struct {
			Workflow string `json:"workflow_id"`
			Stage    events.Stage
		}
		if err := json.Unmarshal(line, &order); err != nil {
			s.Fatalf("%v in %s", err, line)
		}
		done[order.Workflow+string(order.Stage)]++
	}
	told := map[string]map[events.Type]int{} // by workflow
	for _, spec := range events.Catalogue() {
		entries, err := s.bus.Client().XRange(s.Context(), s.bus.Names().Stream(spec.Type, 0), "-", "+").Result()
		if err != nil {
			s.Fatal(err)
		}
		for _, e := range decoded(s.T, entries) {
			if told[e.WorkflowID] == nil {
				told[e.WorkflowID] = map[events.Type]int{}
			}
			told[e.WorkflowID][e.Type]++
			s.books.Attempt(e)
			s.books.Outcome(e.ID, ledger.Acked)
		}
	}
	for _, id := range ids {
		for _, stage := range events.Stages() {
			n, started, ended, failed := done[id+string(stage)], told[id][stage.Started()], told[id][stage.Done()], told[id][stage.Failed()]
			if n != 1 || started != 1 || ended != 1 || failed != 0 {
				s.Errorf("%s of %s: %d times done; by its events started %d, done %d, failed %d times", stage, id, n, started, ended, failed)
			}
		}
		if n := told[id][events.WorkflowCompleted]; n != 1 {
			s.Errorf("%s was told to be completed %d times", id, n)
		}
	}
}
