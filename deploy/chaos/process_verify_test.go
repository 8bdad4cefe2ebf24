package chaos

import (
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"agentbus/deploy/agentctl/audit"
)

// TestVerifyNamesWhatIsMissing deletes a row behind db-writer's back: agentctl verify must name the event
// and exit with 1, whether it is asked for everything, a time or the workflow.
func TestVerifyNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newSystem(t, map[string]int{"db-writer": 1}, nil)
	published := course("vanished")
	if _, err := s.books.Publish(t.Context(), s.bus, append(published, course("whole")...)...); err != nil {
		t.Fatal(err)
	}
	s.settled(time.Minute)
	s.exec(`DELETE FROM workflow_updates WHERE event_id = '` + published[2].ID + `'`)
	program := agentctl(t)
	for _, tc := range []struct {
		args []string
		code int
	}{
		{[]string{"--all"}, 1}, {[]string{"--since", "10m"}, 1}, {[]string{"vanished"}, 1},
		{[]string{"whole"}, 0}, {[]string{"--until", "10m"}, 0}, {[]string{"unheard-of"}, 1},
	} {
		args := append([]string{"verify", "--redis", s.RedisURL, "--database", s.DatabaseURL, "-o", "json"}, tc.args...)
		out, err := exec.CommandContext(t.Context(), program, args...).Output()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != tc.code {
			t.Errorf("verify %v: exit code %d, want %d: %s", tc.args, code, tc.code, out)
		}
		if tc.code == 0 || tc.args[0] == "unheard-of" {
			continue
		}
		var a audit.Account
		if err := json.Unmarshal(out, &a); err != nil {
			t.Fatalf("verify %v: %v in %s", tc.args, err, out)
		}
		if a.Missing != 1 || len(a.MissingOnes) != 1 || a.MissingOnes[0].ID != published[2].ID {
			t.Errorf("verify %v: %+v, want %s missing", tc.args, a, published[2].ID)
		}
	}
	text, _ := exec.CommandContext(t.Context(), program, "verify", "--all", "--redis", s.RedisURL, "--database", s.DatabaseURL).CombinedOutput() // it exits with 1
	for _, part := range []string{"GROUP", "db_writers", published[2].ID, "workflow.progressed", "1 event is missing in db_writers"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
	t.Logf("\n%s", text)
}
