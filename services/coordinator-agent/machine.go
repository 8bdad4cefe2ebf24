package main

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"agentbus/pkg/events"
)

// machine decides transitions. It is pure: it changes the workflow it is given
// and returns the events that tell of it, or none when there is nothing to do.
// Time and ids come from outside.
type machine struct {
	accept, queue, silent time.Duration
	newID                 func() string
}

func newMachine(c Config) machine {
	return machine{accept: c.AcceptTimeout, queue: c.QueueTimeout, silent: c.SilentTimeout, newID: uuid.NewString}
}

// note is one event to be: its type and payload.
type note struct {
	typ     events.Type
	payload events.Payload
}

// leaseLook is how long the coordinator waits between two looks at the leases of
// an agent's members: longer than two of their beats (3 s).
const leaseLook = 7 * time.Second

// create begins the workflow: it is announced and its first stage asked.
func (m machine) create(w *workflow, now time.Time) []note {
	w.State, w.CreatedAt, w.UpdatedAt = Running, now, now
	created := &events.WorkflowCreatedData{Name: w.Name}
	for _, s := range w.Stages {
		created.Stages = append(created.Stages, s.Name)
		if len(s.Parameters) > 0 {
			if created.Parameters == nil {
				created.Parameters = make(map[events.Stage]jsonObject)
			}
			created.Parameters[s.Name] = s.Parameters
		}
	}
	return append([]note{
		{events.WorkflowCreated, created},
		{events.WorkflowStarted, &events.WorkflowStartedData{Stage: w.stage().Name}},
	}, m.ask(w, now)...)
}

// ask sends the current stage's next try to its agent.
func (m machine) ask(w *workflow, now time.Time) []note {
	s := w.stage()
	s.State, s.Phase, s.Attempt, s.CorrelationID = Running, asked, s.Attempt+1, m.newID()
	s.Percent, s.Message, s.AskedAt, s.AcceptedAt, s.Leases = 0, "waiting for "+s.Name.Agent(), now, nil, nil
	s.LookedAt = nil
	s.Code, s.Reason, s.Artifacts, s.Summary = "", "", nil, nil
	w.Deadline, w.UpdatedAt = now.Add(m.accept), now
	return []note{{events.A2ARequest, &events.A2ARequestData{
		CorrelationID: s.CorrelationID, From: events.Coordinator, To: s.Name.Agent(), Stage: s.Name, Attempt: s.Attempt,
		Deadline: now.Add(m.queue + s.Timeout), Parameters: s.Parameters, Inputs: w.artifacts(),
	}}}
}

// respond heeds an agent's response. Responses to an earlier try, and those that
// were overtaken, change nothing.
func (m machine) respond(w *workflow, r *events.A2AResponseData, seq int64, now time.Time) []note {
	s := w.stage()
	if w.State.Final() || r.CorrelationID != s.CorrelationID || s.Phase == resting || seq <= s.LastSeq {
		return nil
	}
	s.LastSeq = seq
	if s.AcceptedAt == nil {
		s.AcceptedAt = &now
	}
	s.Phase, w.UpdatedAt = working, now
	switch r.Status {
	case events.A2ASucceeded:
		return m.succeed(w, r, now)
	case events.A2AFailed:
		s.Artifacts, s.Summary = r.Artifacts, r.Summary
		return m.fail(w, r.Code, r.Reason, r.Retryable, now)
	case events.A2ACancelled:
		return m.fail(w, "cancelled", "the agent stopped the work without being asked to by the workflow", true, now)
	case events.A2AAccepted:
		s.Message = "accepted by " + r.From
	default:
		s.Percent = max(s.Percent, r.Percent)
		if r.Message != "" {
			s.Message = r.Message
		}
	}
	w.Deadline = earlier(now.Add(m.silent), s.AcceptedAt.Add(s.Timeout))
	return []note{m.progress(w)}
}

func (m machine) succeed(w *workflow, r *events.A2AResponseData, now time.Time) []note {
	s := w.stage()
	s.State, s.Phase, s.Percent, s.Message, s.FinishedAt = Completed, "", 100, "done", &now
	s.Artifacts, s.Summary = r.Artifacts, r.Summary
	if w.Current == len(w.Stages)-1 {
		w.finish(Completed, now)
		return []note{{events.WorkflowCompleted, &events.WorkflowCompletedData{
			DurationMS: now.Sub(w.CreatedAt).Milliseconds(), Artifacts: w.artifacts()}}}
	}
	done := m.progress(w)
	w.Current++
	return append([]note{done}, m.ask(w, now)...)
}

// fail ends a try of the current stage: it is tried again after a rest, when that
// may help and tries are left; else the workflow has failed.
func (m machine) fail(w *workflow, code, reason string, retryable bool, now time.Time) []note {
	s := w.stage()
	s.Code, s.Reason = code, reason
	if retryable && s.Attempt < s.Attempts {
		rest := restAfter(s.Attempt)
		s.Phase, s.Message = resting, fmt.Sprintf("try %d of %d failed (%s); next in %s", s.Attempt, s.Attempts, reason, rest)
		w.Deadline, w.UpdatedAt = now.Add(rest), now
		return []note{m.progress(w)}
	}
	s.State, s.Phase, s.FinishedAt = Failed, "", &now
	w.Code, w.Reason = code, reason
	w.finish(Failed, now)
	return []note{{events.WorkflowFailed, &events.WorkflowFailedData{Stage: s.Name, Code: code, Reason: reason,
		DurationMS: now.Sub(w.CreatedAt).Milliseconds()}}}
}

// cancel stops a running workflow; agents at work on it hear of it by the event.
func (m machine) cancel(w *workflow, reason string, now time.Time) []note {
	if w.State.Final() {
		return nil
	}
	s := w.stage()
	s.State, s.Phase, s.FinishedAt = Cancelled, "", &now
	w.Code, w.Reason = "cancelled", reason
	w.finish(Cancelled, now)
	return []note{{events.WorkflowCancelled, &events.WorkflowCancelledData{Stage: s.Name, Reason: reason,
		DurationMS: now.Sub(w.CreatedAt).Milliseconds()}}}
}

// expire acts on a deadline that has passed. leases are what the members of the
// current stage's agent hold now; a lease that has changed between two looks
// belongs to a living member.
func (m machine) expire(w *workflow, leases map[string]string, now time.Time) []note {
	s := w.stage()
	if w.State.Final() || now.Before(w.Deadline) {
		return nil
	}
	switch s.Phase {
	case resting:
		return m.ask(w, now)
	case asked:
		return m.unaccepted(w, leases, now)
	}
	if limit := s.AcceptedAt.Add(s.Timeout); !now.Before(limit) {
		return m.fail(w, "timeout", fmt.Sprintf("the %s stage took longer than %s; raise its timeout_seconds or make it faster", s.Name, s.Timeout), false, now)
	}
	return m.fail(w, "agent_silent", fmt.Sprintf("%s was silent for %s while at work; see its log", s.Name.Agent(), m.silent), true, now)
}

func (m machine) unaccepted(w *workflow, leases map[string]string, now time.Time) []note {
	s := w.stage()
	waited := now.Sub(s.AskedAt).Round(time.Second)
	if s.LookedAt == nil {
		s.LookedAt, s.Leases = &now, leases
		s.Message = "nobody has accepted yet; looking whether " + s.Name.Agent() + " is alive"
		w.Deadline = now.Add(leaseLook)
		return []note{m.progress(w)}
	}
	alive := 0
	for member, lease := range leases {
		if s.Leases[member] != lease {
			alive++
		}
	}
	switch {
	case alive == 0:
		return m.fail(w, "agent_unavailable", fmt.Sprintf("no %s is running: nobody accepted the request within %s; start one and run the workflow again", s.Name.Agent(), waited), false, now)
	case now.Sub(s.AskedAt) >= m.queue:
		return m.fail(w, "agent_busy", fmt.Sprintf("every %s (%d) was busy for %s; start more of them", s.Name.Agent(), alive, waited), false, now)
	}
	s.LookedAt, s.Leases, s.Message = nil, nil, fmt.Sprintf("waiting for one of %d busy %s", alive, s.Name.Agent())
	w.Deadline = now.Add(m.accept)
	return []note{m.progress(w)}
}

func (m machine) progress(w *workflow) note {
	s := w.stage()
	return note{events.WorkflowProgressed, &events.WorkflowProgressedData{Percent: w.percent(), Stage: s.Name,
		StagePercent: s.Percent, Attempt: s.Attempt, Message: s.Message}}
}

func (w *workflow) finish(state State, now time.Time) {
	w.State, w.FinishedAt, w.UpdatedAt = state, &now, now
	w.Deadline = time.Time{}
}

// restAfter is the pause before the next try: 1, 2, 4 ... at most 60 seconds.
func restAfter(attempt int) time.Duration {
	return min(time.Minute, time.Second<<(min(attempt, 7)-1))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
