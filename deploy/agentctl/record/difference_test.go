package record

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentbus/pkg/events"
)

func TestDifference(t *testing.T) {
	published := []events.Event{{ID: "a", Type: "x.y"}, {ID: "b", Type: "x.y"}, {ID: "c", Type: "x.y"}}
	for name, tc := range map[string]struct {
		ids  []string
		says []string // none: no difference
	}{
		"same":             {[]string{"c", "a", "b"}, nil},
		"missing":          {[]string{"a", "c"}, []string{"x.y b is missing"}},
		"twice":            {[]string{"a", "b", "b", "c"}, []string{"x.y b is there 2 times"}},
		"never published":  {[]string{"a", "b", "c", "d"}, []string{"event d was not published"}},
		"all three":        {[]string{"b", "b", "c", "d"}, []string{"a is missing", "b is there 2 times", "d was not published"}},
		"nothing recorded": {nil, []string{"a is missing", "b is missing", "c is missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := Difference(published, tc.ids)
			if (err == nil) != (len(tc.says) == 0) {
				t.Fatalf("Difference: %v", err)
			}
			for _, part := range tc.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in %v", part, err)
				}
			}
		})
	}
}

// TestLinesAreTheEventsOnly: the service's own log stands in the same file, and the last line may be
// on its way.
func TestLinesAreTheEventsOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	text := `{"level":"info","workflow_id":"wf-1","message":"own"}
{"event_id":"a","workflow_id":"wf-1"}
no JSON, but wf-1
{"event_id":"b","workflow_id":"wf-12"}
{"event_id":"c","workflow_id":"wf-1"}
{"event_id":"d","workflow_id":"wf-1"`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ids, err := Lines("wf-1", file)
	if err != nil || strings.Join(ids, " ") != "a c" {
		t.Errorf("Lines are %v, %v", ids, err)
	}
}
