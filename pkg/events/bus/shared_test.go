package bus_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
)

// TestEventsPublishedTogetherShareAnEntry: by type, up to the limit, numbered in the
// order of the call all the same.
func TestEventsPublishedTogetherShareAnEntry(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{EventsPerEntry: 3})
	var list []events.Event
	for i := range 8 {
		e := bustest.Event(t, "wf-1", i)
		if i%2 == 1 {
			var err error
			if e, err = events.New(events.WorkflowStarted, "wf-1", "tester", &events.WorkflowStartedData{Stage: events.Audit}); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, e)
	}
	receipts, err := b.Publish(t.Context(), list...)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range receipts {
		if r.Seq != int64(i+1) {
			t.Errorf("event %d of the call has seq %d", i+1, r.Seq)
		}
	}
	for typ, want := range map[events.Type]string{events.WorkflowProgressed: "1 3 5|7", events.WorkflowStarted: "2 4 6|8"} {
		stream := b.Names().Stream(typ, 0)
		var seqs []string
		for _, m := range b.Client().XRange(t.Context(), stream, "-", "+").Val() {
			seqs = append(seqs, fmt.Sprint(m.Values["seq"]))
			messages, err := consumer.Messages(stream, m)
			if err != nil || len(messages) != len(strings.Fields(fmt.Sprint(m.Values["seq"]))) {
				t.Errorf("%s of %s reads as %+v, %v", m.ID, typ, messages, err)
			}
			for _, got := range messages {
				if want := list[got.Seq-1]; got.Event.ID != want.ID || string(got.Raw) != bustest.Encode(t, want) {
					t.Errorf("seq %d is %s; want %s", got.Seq, got.Raw, bustest.Encode(t, want))
				}
			}
		}
		if got := strings.Join(seqs, "|"); got != want {
			t.Errorf("entries of %s have seq %q; want %q", typ, got, want)
		}
	}
	var rec bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
	servertest.Eventually(t, 5*time.Second, rec.Want(8))
	for i, m := range rec.All() {
		if m.Seq != int64(i+1) || m.Attempt != 1 {
			t.Errorf("message %d is seq %d, attempt %d", i+1, m.Seq, m.Attempt)
		}
	}
}
