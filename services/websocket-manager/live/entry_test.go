package live

import (
	"strings"
	"testing"

	"agentbus/pkg/events"
)

// TestMemberIsOneLine: an event that somebody wrote with line breaks, as jq does, is one line in the
// log, and so one line of data in a stream of Server-Sent Events.
func TestMemberIsOneLine(t *testing.T) {
	e, err := events.Decode([]byte(`{
  "id": "0b7c7a52-4c1b-4d0e-9a51-1f8f7f2f9d16",
  "type": "workflow.progressed",
  "workflow_id": "wf-pretty",
  "timestamp": "2026-01-02T03:04:05Z",
  "data": {
    "percent": 40,
    "message": "two\nlines"
  },
  "source_agent": "my-script",
  "more": [
    1
  ]
}`))
	if err != nil {
		t.Fatal(err)
	}
	member, err := appendMember(nil, e, 7)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(member) + string(frame("wf-pretty", string(member))); strings.ContainsAny(text, "\r\n") || !strings.Contains(text, `"message":"two\nlines"`) {
		t.Errorf("the member and its frame are %s; want one line each", text)
	}
}
