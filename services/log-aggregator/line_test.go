package main

import (
	"fmt"
	"strings"
	"testing"

	"agentbus/pkg/events/bus/consumer"
)

// TestBadDataLeavesNoTrace: an event that cannot be a line goes to the dead letters, and its batch is written.
func TestBadDataLeavesNoTrace(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	a := aggregator1(&sink{name: "out", out: &out})
	bad := message(2, `{"a":1`)
	outcome := a.handle(t.Context(), []consumer.Message{message(1, `{"a":1}`), bad, message(3, `{"a":3}`)})
	if outcome[0] != nil || fmt.Sprintf("%T", outcome[1]) != fmt.Sprintf("%T", consumer.Permanent(errFull)) || outcome[2] != nil {
		t.Errorf("outcome %v, want the second alone to fail for good", outcome)
	}
	if got := out.String(); strings.Count(got, "\n") != 2 || strings.Contains(got, bad.Event.ID) {
		t.Errorf("written was %s", got)
	}
}
