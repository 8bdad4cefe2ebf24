package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// past tells of workflows of the last hours, so that a list has the length it has in life.
func past(t testing.TB, b *bus.Bus) {
	t.Helper()
	for i, name := range strings.Fields("invoice-mailer image-resizer session-store rate-limiter audit-export price-feed webhook-relay geo-lookup") {
		id, began := "wf-"+uuid.NewString(), time.Now().Add(-time.Duration(7+i*i*9)*time.Minute)
		took := time.Duration(2100+i*730) * time.Millisecond
		say := func(after time.Duration, typ events.Type, payload events.Payload) {
			e := newEvent(t, typ, id, payload)
			e.Timestamp = began.Add(after).UTC().Truncate(time.Microsecond)
			publish(t, b, e)
		}
		say(0, events.WorkflowCreated, &events.WorkflowCreatedData{Name: name, Stages: events.Stages()})
		say(time.Millisecond, events.WorkflowStarted, &events.WorkflowStartedData{Stage: events.Generation})
		for n, stage := range events.Stages() {
			correlation := uuid.NewString()
			say(time.Duration(n)*took/4, stage.Started(), &events.StageStartedData{CorrelationID: correlation, Attempt: 1, Worker: stage.Agent() + "-1"})
			say(time.Duration(n)*took/4, events.WorkflowProgressed, &events.WorkflowProgressedData{Percent: n*25 + 10, Stage: stage, StagePercent: 40, Attempt: 1})
			if i == 2 && stage == events.Testing {
				say(took, stage.Failed(), &events.StageFailedData{CorrelationID: correlation, Attempt: 1, Code: "timeout", Reason: "the tool ran longer than 2m0s"})
				say(took, events.WorkflowFailed, &events.WorkflowFailedData{Stage: stage, Code: "timeout", DurationMS: took.Milliseconds(),
					Reason: "the tool ran longer than 2m0s; raise timeout_seconds or make it faster"})
				break
			}
			if i == 5 && stage == events.Audit {
				say(took, events.WorkflowCancelled, &events.WorkflowCancelledData{Stage: stage, Reason: "cancelled by the user", DurationMS: took.Milliseconds()})
				break
			}
			say(time.Duration(n+1)*took/4, stage.Done(), &events.StageDoneData{CorrelationID: correlation, Attempt: 1, DurationMS: took.Milliseconds() / 4})
			if stage == events.Deployment {
				say(took, events.WorkflowCompleted, &events.WorkflowCompletedData{DurationMS: took.Milliseconds()})
			}
		}
	}
}

func newEvent(t testing.TB, typ events.Type, workflowID string, payload events.Payload) events.Event {
	t.Helper()
	e, err := events.New(typ, workflowID, "test", payload)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", typ, err))
	}
	return e
}

func publish(t testing.TB, b *bus.Bus, list ...events.Event) {
	t.Helper()
	if _, err := b.Publish(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
}

// created is the first event of a workflow that nobody works on.
func created(t testing.TB, name string) events.Event {
	t.Helper()
	return newEvent(t, events.WorkflowCreated, "wf-"+uuid.NewString(), &events.WorkflowCreatedData{Name: name, Stages: events.Stages()})
}
