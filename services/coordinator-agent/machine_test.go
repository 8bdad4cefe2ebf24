package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"agentbus/pkg/events"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func testMachine() machine {
	n := 0
	return machine{accept: 20 * time.Second, queue: time.Hour, silent: time.Minute, newID: func() string {
		n++
		return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n)).String()
	}}
}

// begun is a workflow whose first stage was asked.
func begun(t *testing.T, m machine) *workflow {
	t.Helper()
	w, err := (&workflowRequest{Name: "greeter"}).workflow(stageDefaults{10 * time.Minute, 2})
	if err != nil {
		t.Fatal(err)
	}
	w.ID = "wf-1"
	check(t, m.create(w, start), "workflow.created workflow.started a2a.request")
	return w
}

// check wants events of these types, each valid.
func check(t *testing.T, got []note, want string) {
	t.Helper()
	var types []string
	for _, n := range got {
		types = append(types, string(n.typ))
		if err := n.payload.Validate(); err != nil {
			t.Errorf("%s: %v", n.typ, err)
		}
	}
	if have := strings.Join(types, " "); have != want {
		t.Fatalf("announced %q; want %q", have, want)
	}
}

func response(w *workflow, status events.A2AStatus) *events.A2AResponseData {
	s := w.stage()
	return &events.A2AResponseData{CorrelationID: s.CorrelationID, From: s.Name.Agent(), To: events.Coordinator, Stage: s.Name,
		Attempt: s.Attempt, Status: status, Code: "tests_failed", Reason: "2 tests failed"}
}

func TestAllStagesSucceed(t *testing.T) {
	m := testMachine()
	w := begun(t, m)
	seq := int64(10)
	for i, s := range events.Stages() {
		if w.stage().Name != s {
			t.Fatalf("stage %d is %s; want %s", i, w.stage().Name, s)
		}
		seq++
		check(t, m.respond(w, response(w, events.A2AAccepted), seq, start), "workflow.progressed")
		seq++
		r := response(w, events.A2AProgress)
		r.Percent = 50
		check(t, m.respond(w, r, seq, start), "workflow.progressed")
		if want := (100*i + 50) / 4; w.percent() != want {
			t.Errorf("half way through %s: %d%%; want %d%%", s, w.percent(), want)
		}
		seq++
		want := "workflow.progressed a2a.request"
		if s == events.Deployment {
			want = "workflow.completed"
		}
		check(t, m.respond(w, response(w, events.A2ASucceeded), seq, start.Add(time.Minute)), want)
	}
	if w.State != Completed || w.percent() != 100 || !w.Deadline.IsZero() {
		t.Errorf("ended as %s, %d%%, deadline %s", w.State, w.percent(), w.Deadline)
	}
}

func TestResponsesThatChangeNothing(t *testing.T) {
	m := testMachine()
	w := begun(t, m)
	check(t, m.respond(w, response(w, events.A2AAccepted), 5, start), "workflow.progressed")
	check(t, m.respond(w, response(w, events.A2AProgress), 5, start), "") // delivered twice
	check(t, m.respond(w, response(w, events.A2AProgress), 4, start), "") // overtaken
	other := response(w, events.A2ASucceeded)
	other.CorrelationID = uuid.NewString() // of an earlier try
	check(t, m.respond(w, other, 9, start), "")
	check(t, m.cancel(w, "enough", start), "workflow.cancelled")
	check(t, m.respond(w, response(w, events.A2ASucceeded), 10, start), "")
	check(t, m.cancel(w, "again", start), "")
	check(t, m.expire(w, nil, start.Add(time.Hour)), "")
}

func TestAFailureThatMayPassIsTriedAgain(t *testing.T) {
	m := testMachine()
	w := begun(t, m)
	r := response(w, events.A2AFailed)
	r.Retryable = true
	check(t, m.respond(w, r, 5, start), "workflow.progressed")
	check(t, m.expire(w, nil, start.Add(500*time.Millisecond)), "")
	check(t, m.respond(w, response(w, events.A2ASucceeded), 6, start), "") // of the try that was given up
	check(t, m.expire(w, nil, start.Add(time.Second)), "a2a.request")
	if w.stage().Attempt != 2 {
		t.Errorf("attempt %d; want 2", w.stage().Attempt)
	}
	r = response(w, events.A2AFailed)
	r.Retryable = true
	check(t, m.respond(w, r, 7, start), "workflow.failed") // 2 attempts are all
	if w.State != Failed || w.Reason != "2 tests failed" || w.Code != "tests_failed" {
		t.Errorf("ended as %s: %s: %s", w.State, w.Code, w.Reason)
	}
}

func TestAVerdictIsNotTriedAgain(t *testing.T) {
	m := testMachine()
	w := begun(t, m)
	check(t, m.respond(w, response(w, events.A2AFailed), 5, start), "workflow.failed")
}

func TestNobodyAccepts(t *testing.T) {
	m := testMachine()
	dead := map[string]string{"0/audit-1": "a:7"}
	busy := map[string]string{"0/audit-1": "a:9"}
	look := start.Add(m.accept)
	t.Run("no agent", func(t *testing.T) {
		w := begun(t, m)
		check(t, m.expire(w, dead, look), "workflow.progressed")
		check(t, m.expire(w, dead, look.Add(leaseLook-time.Second)), "")
		check(t, m.expire(w, dead, look.Add(leaseLook)), "workflow.failed")
		if w.Code != "agent_unavailable" || !strings.Contains(w.Reason, "generation-agent") {
			t.Errorf("failed with %s: %s", w.Code, w.Reason)
		}
	})
	t.Run("busy agents", func(t *testing.T) {
		w := begun(t, m)
		check(t, m.expire(w, dead, look), "workflow.progressed")
		check(t, m.expire(w, busy, look.Add(leaseLook)), "workflow.progressed")
		check(t, m.respond(w, response(w, events.A2AAccepted), 9, look.Add(time.Minute)), "workflow.progressed")
	})
	t.Run("busy for too long", func(t *testing.T) {
		w := begun(t, m)
		check(t, m.expire(w, dead, start.Add(m.queue)), "workflow.progressed")
		check(t, m.expire(w, busy, start.Add(m.queue+leaseLook)), "workflow.failed")
		if w.Code != "agent_busy" {
			t.Errorf("failed with %s: %s", w.Code, w.Reason)
		}
	})
}

func TestAnAgentThatFallsSilentOrTakesTooLong(t *testing.T) {
	m := testMachine()
	w := begun(t, m)
	check(t, m.respond(w, response(w, events.A2AAccepted), 5, start), "workflow.progressed")
	check(t, m.expire(w, nil, start.Add(59*time.Second)), "")
	check(t, m.expire(w, nil, start.Add(time.Minute)), "workflow.progressed") // resting
	if w.stage().Code != "agent_silent" {
		t.Errorf("the try failed with %s", w.stage().Code)
	}
	check(t, m.expire(w, nil, start.Add(2*time.Minute)), "a2a.request")
	at := start.Add(2 * time.Minute)
	check(t, m.respond(w, response(w, events.A2AAccepted), 6, at), "workflow.progressed")
	for i := range 10 { // it reports all the time, and never ends
		check(t, m.respond(w, response(w, events.A2AProgress), int64(7+i), at.Add(time.Duration(i)*time.Minute)), "workflow.progressed")
	}
	check(t, m.expire(w, nil, at.Add(10*time.Minute)), "workflow.failed")
	if w.Code != "timeout" {
		t.Errorf("failed with %s: %s", w.Code, w.Reason)
	}
}
