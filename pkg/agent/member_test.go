package agent

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/service"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// rig is an agent at work on a bus of its own, and a coordinator's view of it.
type rig struct {
	bus  *bus.Bus
	stop func()

	mu   sync.Mutex
	seen []events.Event
}

func newRig(t *testing.T, tool Tool) *rig {
	t.Helper()
	cfg := bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t), Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel)}
	b, err := bus.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	r := &rig{bus: b}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	dir := t.TempDir()
	wg.Go(func() {
		settings := Settings{WorkspaceDir: filepath.Join(dir, "work"), ArtifactURL: filepath.Join(dir, "store"), ToolTimeout: time.Minute, Concurrency: 2}
		if err := Serve(ctx, events.Audit, settings, cfg, tool, service.NewRuntime(cfg.Log, nil)); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	types := []events.Type{events.AuditStarted, events.AuditCompleted, events.AuditFailed, events.A2AResponse}
	wg.Go(func() {
		_ = consumer.Tail(ctx, b, consumer.Tailing{Types: types, From: "0"}, func(m consumer.Message) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seen = append(r.seen, m.Event)
			return nil
		})
	})
	var once sync.Once
	r.stop = func() { once.Do(func() { cancel(); wg.Wait() }) }
	t.Cleanup(r.stop)
	return r
}

// ask publishes a request and returns it.
func (r *rig) ask(t *testing.T, workflow string, change func(*events.A2ARequestData)) events.A2ARequestData {
	t.Helper()
	data := events.A2ARequestData{
		CorrelationID: uuid.NewString(), From: events.Coordinator, To: "audit-agent", Stage: events.Audit, Attempt: 1,
		Deadline: time.Now().Add(time.Minute), Parameters: json.RawMessage(`{"x":1}`),
	}
	if change != nil {
		change(&data)
	}
	r.publish(t, events.A2ARequest, workflow, &data)
	return data
}

func (r *rig) publish(t *testing.T, typ events.Type, workflow string, data events.Payload) {
	t.Helper()
	e, err := events.New(typ, workflow, events.Coordinator, data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.bus.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// told lists what was said of a workflow: the types, and of responses the status.
func (r *rig) told(workflow string) (list []string, last *events.A2AResponseData) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.seen {
		if e.WorkflowID != workflow {
			continue
		}
		if e.Type != events.A2AResponse {
			list = append(list, string(e.Type))
			continue
		}
		data, err := events.PayloadOf[events.A2AResponseData](e)
		if err != nil {
			list = append(list, err.Error())
			continue
		}
		if data.Status != events.A2AProgress {
			last = data
		}
		list = append(list, string(data.Status))
	}
	return list, last
}

func (r *rig) await(t *testing.T, workflow string) *events.A2AResponseData {
	t.Helper()
	var last *events.A2AResponseData
	eventually(t, 20*time.Second, "the answer for "+workflow, func() bool {
		_, last = r.told(workflow)
		return last != nil && last.Status.Final()
	})
	return last
}

// count says how often each thing was told.
func (r *rig) count(workflow string) map[string]int {
	list, _ := r.told(workflow)
	n := map[string]int{}
	for _, s := range list {
		n[s]++
	}
	return n
}

func TestRequestIsServed(t *testing.T) {
	r := newRig(t, fakeTool(func(ctx context.Context, t Task) (Result, error) {
		if string(t.Parameters) != `{"x":1}` || t.Attempt != 1 || t.WorkflowID != "wf-1" {
			return Result{}, failf(CodeToolFailed, "the task is %+v", t)
		}
		t.Report(50, "half")
		<-time.After(2 * progressEvery) // what is replaced within this time is not told
		return Result{Summary: map[string]int{"n": 1}, Artifacts: []File{{Name: "r.txt", Path: "r"}}}, os.WriteFile(filepath.Join(t.Workspace, "r"), []byte("report"), 0o644)
	}))
	asked := r.ask(t, "wf-1", nil)
	got := r.await(t, "wf-1")
	if got.Status != events.A2ASucceeded || got.CorrelationID != asked.CorrelationID || got.To != events.Coordinator || got.From != "audit-agent" ||
		string(got.Summary) != `{"n":1}` || len(got.Artifacts) != 1 || got.Artifacts[0].Size != 6 || got.DurationMS < 400 {
		t.Errorf("the answer is %+v", got)
	}
	for _, what := range []string{"audit.started", "accepted", "progress", "audit.completed", "succeeded"} {
		if n := r.count("wf-1")[what]; n != 1 {
			t.Errorf("%s was told %d times", what, n)
		}
	}
}

func TestRequestThatComesTwiceIsServedOnce(t *testing.T) {
	var mu sync.Mutex
	runs := map[string]int{}
	r := newRig(t, fakeTool(func(_ context.Context, t Task) (Result, error) {
		mu.Lock()
		defer mu.Unlock()
		runs[t.WorkflowID]++
		return Result{}, nil
	}))
	asked := r.ask(t, "wf-1", nil)
	again := func(d *events.A2ARequestData) { d.CorrelationID = asked.CorrelationID }
	r.await(t, "wf-1")
	r.ask(t, "wf-1", again)
	// A later try of the stage is another matter; an earlier one comes too late.
	r.ask(t, "wf-1", func(d *events.A2ARequestData) { d.Attempt = 3 })
	eventually(t, 20*time.Second, "the later try is served", func() bool { return r.count("wf-1")["succeeded"] == 2 })
	r.ask(t, "wf-1", func(d *events.A2ARequestData) { d.Attempt = 2 })
	r.ask(t, "wf-1", func(d *events.A2ARequestData) { d.To, d.Stage = "testing-agent", events.Testing })
	r.ask(t, "wf-1", func(d *events.A2ARequestData) { d.Attempt, d.Deadline = 4, time.Now().Add(-time.Second) })
	r.ask(t, "wf-2", nil)
	r.await(t, "wf-2")
	r.stop()
	if runs["wf-1"] != 2 || runs["wf-2"] != 1 {
		t.Errorf("the tool ran %v", runs)
	}
	if n := r.count("wf-1"); n["audit.started"] != 2 || n["audit.completed"] != 2 || n["succeeded"] != 2 {
		t.Errorf("told %v", n)
	}
}

func TestFailuresAreTold(t *testing.T) {
	r := newRig(t, fakeTool(func(_ context.Context, t Task) (Result, error) {
		if t.WorkflowID == "wf-trouble" {
			return Result{}, os.ErrDeadlineExceeded
		}
		return Result{Summary: map[string]int{"high": 1}}, failf(CodeFindings, "a key in\x00 config")
	}))
	r.ask(t, "wf-no", nil)
	if got := r.await(t, "wf-no"); got.Status != events.A2AFailed || got.Code != "findings" || !strings.Contains(got.Reason, "a key in") || got.Retryable || string(got.Summary) != `{"high":1}` {
		t.Errorf("the answer is %+v", got)
	}
	r.ask(t, "wf-trouble", nil)
	if got := r.await(t, "wf-trouble"); got.Status != events.A2AFailed || got.Code != "infrastructure" || !got.Retryable {
		t.Errorf("the answer is %+v", got)
	}
	eventually(t, 5*time.Second, "both stages failed", func() bool { return r.count("wf-no")["audit.failed"]+r.count("wf-trouble")["audit.failed"] == 2 })
}

func TestCancellationReachesARunningTask(t *testing.T) {
	pids := make(chan Task, 2)
	r := newRig(t, fakeTool(func(ctx context.Context, t Task) (Result, error) {
		p := shell("setsid sleep 300 & echo ready; wait")
		p.Stdout = &Lines{Each: func([]byte) { pids <- t }}
		_, err := new(Runner).Run(ctx, t, p)
		return Result{}, err
	}))
	r.ask(t, "wf-1", nil)
	task := <-pids
	begun := time.Now()
	r.publish(t, events.WorkflowCancelled, "wf-1", &events.WorkflowCancelledData{Stage: events.Audit, Reason: "by a test"})
	got := r.await(t, "wf-1")
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %s", took)
	}
	if got.Status != events.A2ACancelled || got.Code != "cancelled" || !strings.Contains(got.Reason, "by a test") {
		t.Errorf("the answer is %+v", got)
	}
	if n := marked(task); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	// What is asked for afterwards does not begin.
	r.ask(t, "wf-1", func(d *events.A2ARequestData) { d.Attempt = 2 })
	eventually(t, 10*time.Second, "the second request is answered", func() bool { return r.count("wf-1")["cancelled"] == 2 })
	select {
	case <-pids:
		t.Error("a tool ran for a cancelled workflow")
	default:
	}
}

func TestDeadlineEndsATask(t *testing.T) {
	r := newRig(t, fakeTool(func(ctx context.Context, _ Task) (Result, error) {
		<-ctx.Done()
		return Result{}, ctx.Err()
	}))
	r.ask(t, "wf-1", func(d *events.A2ARequestData) { d.Deadline = time.Now().Add(300 * time.Millisecond) })
	if got := r.await(t, "wf-1"); got.Status != events.A2AFailed || got.Code != "timeout" || !got.Retryable {
		t.Errorf("the answer is %+v", got)
	}
}

func TestTaskOfADeadMemberIsDoneAgainAndToldOnce(t *testing.T) {
	r := newRig(t, fakeTool(func(context.Context, Task) (Result, error) { return Result{}, nil }))
	// What a member that was killed after it accepted left behind.
	id := uuid.NewString()
	q := &request{A2ARequestData: events.A2ARequestData{CorrelationID: id, From: events.Coordinator, Stage: events.Audit, Attempt: 1}, workflow: "wf-1", agent: "audit-agent", worker: "dead"}
	dead := &member{stage: events.Audit, bus: r.bus}
	if err := dead.accept(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	r.ask(t, "wf-1", func(d *events.A2ARequestData) { d.CorrelationID = id })
	r.await(t, "wf-1")
	if n := r.count("wf-1"); n["audit.started"] != 1 || n["accepted"] != 1 || n["audit.completed"] != 1 || n["succeeded"] != 1 {
		t.Errorf("told %v", n)
	}
	// The dead one comes back and finishes: too late.
	if err := dead.answer(t.Context(), q, Outcome{}, nil, zerolog.Nop()); !errors.Is(err, errSuperseded) {
		t.Errorf("its answer gives %v", err)
	}
}
