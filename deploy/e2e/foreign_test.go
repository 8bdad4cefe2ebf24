package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"agentbus/deploy/agentctl/record"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/inspect"
)

// add is what redis-cli does: XADD events:<type> * data '<json>'.
func (s system) add(b *bus.Bus, typ events.Type, fields ...string) (entryID string) {
	s.Helper()
	id, err := b.Client().XAdd(s.Context(), &redis.XAddArgs{Stream: "events:" + string(typ), Values: fields}).Result()
	if err != nil {
		s.Fatal(err)
	}
	return id
}

// TestForeignEventReachesEveryConsumer adds an event as a program in another language would.
func TestForeignEventReachesEveryConsumer(t *testing.T) {
	s := system{t, shared}
	b := s.openBus()
	before, err := record.Scrape(t.Context(), s.URLs("metrics-collector", "OPS_ADDR")...)
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.NewString()
	workflow := "foreign-" + id
	frames := s.collect(workflow)
	s.add(b, events.WorkflowProgressed, "data", `{"id":"`+id+`","type":"WORKFLOW_PROGRESSED","workflow_id":"`+workflow+`",
		"timestamp":"`+time.Now().UTC().Format(time.RFC3339)+`","source_agent":"shell","data":{"percent":40,"stage":"audit","stage_percent":60,"message":"by hand"}}`)

	published := s.recordsAgree(b, workflow, frames, false)
	if len(published) != 1 || published[0].ID != id {
		t.Fatalf("published are %v", record.IDs(published))
	}
	servertest.Eventually(t, 10*time.Second, func() error {
		counted, err := record.Scrape(t.Context(), s.URLs("metrics-collector", "OPS_ADDR")...)
		if err == nil && counted.Since(before)[events.WorkflowProgressed] != 1 {
			err = fmt.Errorf("the metrics have %v more", counted.Since(before))
		}
		return err
	})
}

// TestMalformedEntriesBecomeDeadLetters adds entries that no consumer can take, with a workflow under
// way: each of the four groups keeps each of them with the reason, and the workflow does not notice.
func TestMalformedEntriesBecomeDeadLetters(t *testing.T) {
	s := system{t, shared}
	b := s.openBus()
	begun := time.Now()
	event := func(fields string) string {
		return `{"id":"` + uuid.NewString() + `","type":"workflow.progressed","timestamp":"2026-01-02T03:04:05Z","source_agent":"shell",` + fields + `}`
	}
	valid := `"workflow_id":"malformed-1","data":{"percent":1,"stage":"audit","stage_percent":1}`
	id := s.create(greeter("undisturbed", nil))
	frames := s.collect(id)

	reasons := map[string]string{ // entry id -> part of the reason
		s.add(b, events.WorkflowProgressed, "data", `{"id":`):                                                             "JSON",
		s.add(b, events.WorkflowProgressed, "nothing", "here"):                                                            "field data",
		s.add(b, events.WorkflowProgressed, "data", event(`"data":{}`)):                                                   "workflow_id",
		s.add(b, events.WorkflowProgressed, "data", event(`"workflow_id":7,"data":{}`)):                                   "workflow_id",
		s.add(b, events.WorkflowProgressed, "data", event(`"workflow_id":"w","data":[]`)):                                 "data",
		s.add(b, events.WorkflowProgressed, "data", `{"id":"no-uuid","type":"workflow.progressed",`+valid+`}`):            "id",
		s.add(b, events.WorkflowProgressed, "data", `{"id":"`+uuid.NewString()+`","type":"workflow.vanished",`+valid+`}`): "type",
	}
	for _, group := range []string{"db_writers", "websocket_workers", "metrics_collectors", "log_aggregators"} {
		servertest.Eventually(t, 20*time.Second, func() error {
			letters, err := inspect.New(b).DeadLetters(t.Context(), group, inspect.DeadLetterFilter{Since: begun.Add(-time.Second)})
			if err != nil {
				return err
			}
			for entry, reason := range reasons {
				i := slices.IndexFunc(letters, func(l inspect.DeadLetter) bool { return l.EntryID == entry })
				if i < 0 {
					err = errors.Join(err, fmt.Errorf("%s: no dead letter of %s (%s)", group, entry, reason))
				} else if l := letters[i]; l.Class != "malformed" || !contains(l.Error, reason) {
					err = errors.Join(err, fmt.Errorf("%s: %s is %s: %s, want malformed and %q", group, entry, l.Class, l.Error, reason))
				}
			}
			if len(letters) != len(reasons) {
				err = errors.Join(err, fmt.Errorf("%s has %d dead letters, want %d", group, len(letters), len(reasons)))
			}
			return err
		})
	}
	s.awaitCompleted(id)
	s.recordsAgree(b, id, frames, false)
}
