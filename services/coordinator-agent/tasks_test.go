package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// unhurried waits for agents longer than a test takes.
func unhurried(c *Config) { c.AcceptTimeout = time.Minute }

// wantTasks waits until every replica shows these, by "agent state", and 0 for all others.
func (s *system) wantTasks(want map[string]float64) {
	s.t.Helper()
	all := map[string]float64{}
	for _, stage := range events.Stages() {
		for _, state := range taskStates {
			all[stage.Agent()+" "+state] = 0
		}
	}
	maps.Copy(all, want)
	servertest.Eventually(s.t, 20*time.Second, func() error {
		for i := range s.regs {
			if got := s.tasksOf(i); !maps.Equal(got, all) {
				return fmt.Errorf("replica %d shows %v; want %v", i, got, all)
			}
		}
		return nil
	})
}

// tasksOf is what a scrape of the replica shows.
func (s *system) tasksOf(replica int) map[string]float64 {
	s.t.Helper()
	families, err := s.regs[replica].Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "agentbus_agent_tasks" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			got[labels["agent"]+" "+labels["state"]] = m.GetGauge().GetValue()
		}
	}
	return got
}

// answer is the agent's response to the workflow's latest request.
func (s *system) answer(id string, r events.A2AResponseData) {
	s.t.Helper()
	st, err := s.bus.Load(s.t.Context(), s.bus.Names().Workflow(id))
	if err != nil {
		s.t.Fatal(err)
	}
	var w workflow
	if err := json.Unmarshal(st.Doc, &w); err != nil {
		s.t.Fatal(err)
	}
	now := w.stage()
	r.CorrelationID, r.From, r.To, r.Stage, r.Attempt = now.CorrelationID, now.Name.Agent(), events.Coordinator, now.Name, now.Attempt
	e, err := events.New(events.A2AResponse, id, r.From, &r)
	if err == nil {
		_, err = s.bus.Publish(s.t.Context(), e)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) create(replica int) string {
	s.t.Helper()
	status, w := s.do(replica, "POST", "/v1/workflows", `{"name":"greeter"}`)
	if status != 201 {
		s.t.Fatalf("created with %d: %v", status, w)
	}
	return w["id"].(string)
}

// TestTasksFollowTheWorkflows goes through all that may become of a request, with two coordinators that
// are then replaced by one.
func TestTasksFollowTheWorkflows(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]func(*testing.T) bus.Config{
		"standalone": func(t *testing.T) bus.Config {
			return bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t)}
		},
		"cluster": func(t *testing.T) bus.Config { return bus.Config{URL: clusterOfOne(t), Partitions: 3} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := config(t)
			var a, b, c string
			t.Run("two coordinators", func(t *testing.T) {
				s := startSystemOn(t, base, 2, unhurried)
				s.wantTasks(nil)
				a, b, c = s.create(0), s.create(1), s.create(0)
				s.wantTasks(map[string]float64{"generation-agent waiting": 3})
				s.answer(a, events.A2AResponseData{Status: events.A2AAccepted})
				s.answer(b, events.A2AResponseData{Status: events.A2AAccepted})
				s.wantTasks(map[string]float64{"generation-agent waiting": 1, "generation-agent running": 2})
				// A failure that may pass: after the rest the request waits again.
				s.answer(a, events.A2AResponseData{Status: events.A2AFailed, Code: "hiccup", Reason: "try again", Retryable: true})
				s.wantTasks(map[string]float64{"generation-agent waiting": 2, "generation-agent running": 1})
				// A stage that is done hands on to the next agent.
				s.answer(b, events.A2AResponseData{Status: events.A2ASucceeded})
				s.wantTasks(map[string]float64{"generation-agent waiting": 2, "audit-agent waiting": 1})
			})
			s := startSystemOn(t, base, 1, unhurried)
			s.wantTasks(map[string]float64{"generation-agent waiting": 2, "audit-agent waiting": 1})
			s.do(0, "POST", "/v1/workflows/"+c+"/cancel", "")
			s.wantTasks(map[string]float64{"generation-agent waiting": 1, "audit-agent waiting": 1})
			s.answer(a, events.A2AResponseData{Status: events.A2AFailed, Code: "broken", Reason: "for good"})
			s.wantTasks(map[string]float64{"audit-agent waiting": 1})
			for _, stage := range events.Stages()[1:] {
				s.wantTasks(map[string]float64{stage.Agent() + " waiting": 1})
				s.answer(b, events.A2AResponseData{Status: events.A2AAccepted})
				s.wantTasks(map[string]float64{stage.Agent() + " running": 1})
				s.answer(b, events.A2AResponseData{Status: events.A2ASucceeded})
			}
			s.await(b, "completed")
			s.wantTasks(nil)
		})
	}
}

// TestTasksWhileCoordinatorsRace: whoever wins, a workflow that has ended is nobody's task.
func TestTasksWhileCoordinatorsRace(t *testing.T) {
	t.Parallel()
	s := startSystem(t, 2, unhurried)
	s.agents(succeed)
	ids := make([]string, 30)
	for i := range ids {
		ids[i] = s.create(i % 2)
	}
	var cancels sync.WaitGroup
	for i, id := range ids[:20] {
		for replica := range 2 {
			cancels.Go(func() { s.do((i+replica)%2, "POST", "/v1/workflows/"+id+"/cancel", "") }) // 409 when it has completed
		}
	}
	cancels.Wait()
	for _, id := range ids[20:] {
		s.await(id, "completed")
	}
	s.wantTasks(nil)
}

// TestSweepLeavesOpenWorkflowsAlone: what a coordinator without the index left behind goes, tasks stay.
func TestSweepLeavesOpenWorkflowsAlone(t *testing.T) {
	t.Parallel()
	s := startSystem(t, 1, unhurried)
	s.create(0)
	names := s.bus.Names()
	if err := s.bus.Client().ZAdd(t.Context(), names.Tasks(0), redis.Z{Score: taskScore(2, 1), Member: "wf-gone"}).Err(); err != nil {
		t.Fatal(err)
	}
	s.wantTasks(map[string]float64{"generation-agent waiting": 1, "testing-agent running": 1})
	if err := (&store{bus: s.bus}).sweepTasks(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantTasks(map[string]float64{"generation-agent waiting": 1})
}

// TestNoTasksAreShownWithoutRedis: values that stand still would mislead an autoscaler. The other metrics
// are there.
func TestNoTasksAreShownWithoutRedis(t *testing.T) {
	t.Parallel()
	server := servertest.OwnRedis(t, devserver.RedisOptions{})
	s := startSystemOn(t, bus.Config{URL: server.URL}, 1, unhurried)
	s.create(0)
	s.wantTasks(map[string]float64{"generation-agent waiting": 1})
	server.Kill()
	servertest.Eventually(t, 10*time.Second, func() error {
		if got := s.tasksOf(0); len(got) > 0 {
			return fmt.Errorf("shown: %v", got)
		}
		return nil
	})
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantTasks(map[string]float64{"generation-agent waiting": 1})
}

// clusterOfOne is the URL of a cluster with one node, which refuses what touches keys of several slots as
// any cluster does.
func clusterOfOne(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	server := servertest.OwnRedis(t, devserver.RedisOptions{Config: map[string]string{
		"cluster-enabled": "yes", "cluster-port": strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}})
	o, err := redis.ParseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(o)
	defer func() { _ = admin.Close() }()
	if err := admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 10*time.Second, func() error {
		if info, err := admin.ClusterInfo(t.Context()).Result(); err != nil || !strings.Contains(info, "cluster_state:ok") {
			return fmt.Errorf("the cluster is not ready: %s, %w", info, err)
		}
		return nil
	})
	return "redis+cluster://" + o.Addr
}
