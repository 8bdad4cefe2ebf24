package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// ctl runs agentctl as a process would, without one.
func ctl(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	for _, name := range []string{"AGENTBUS_COORDINATOR", "AGENTBUS_WEBSOCKET", "REDIS_URL", tokenVariable} {
		t.Setenv(name, "")
	}
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{"--dir", t.TempDir()}, args...), strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), code
}

// api is a coordinator that answers every request so, and counts them.
func api(t *testing.T, status int, kind, body string) (url string, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Method == http.MethodPost && r.Header.Get("Idempotency-Key") == "" && !strings.HasSuffix(r.URL.Path, "/cancel") {
			t.Error("a create request has no Idempotency-Key")
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the test looks at what arrived
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

func TestMistakesOfTheUser(t *testing.T) {
	problem, _ := api(t, 422, "application/problem+json", `{"title":"Unprocessable Entity","status":422,"detail":"validation failed",
		"errors":[{"message":"unexpected property","location":"body.colour","value":"red"},{"message":"expected string","location":"body.name","value":7}]}`)
	plain, _ := api(t, 418, "text/html", "<h1>a teapot</h1>")
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		code  int
		says  []string // parts of stderr
	}{
		"unknown command":          {"", []string{"frobnicate"}, exitUsage, []string{"frobnicate"}},
		"unknown subcommand":       {"", []string{"workflows", "frobnicate"}, exitUsage, []string{"frobnicate", "workflows --help"}},
		"unknown flag":             {"", []string{"groups", "--loud"}, exitUsage, []string{"--loud", "--help"}},
		"missing argument":         {"", []string{"workflows", "get"}, exitUsage, []string{"get ID"}},
		"wrong output":             {"", []string{"groups", "-o", "xml"}, exitUsage, []string{"table or json"}},
		"unknown event type":       {"", []string{"events", "tail", "weather.*"}, exitUsage, []string{"weather.*", "workflow.created"}},
		"tail from nowhere":        {"", []string{"events", "tail", "--from", "yesterday"}, exitUsage, []string{"now, start or an entry id"}},
		"nothing chosen":           {"", []string{"dlq", "drop", "db_writers"}, exitUsage, []string{"--class", "--all"}},
		"wrong time":               {"", []string{"dlq", "list", "--since", "noon"}, exitUsage, []string{"noon", "90m"}},
		"nothing to verify":        {"", []string{"verify"}, exitUsage, []string{"--since", "--all"}},
		"verify all and one":       {"", []string{"verify", "wf-1", "--all"}, exitUsage, []string{"--all means everything"}},
		"verify backwards":         {"", []string{"verify", "--since", "1m", "--until", "2m"}, exitUsage, []string{"not before"}},
		"file is not there":        {"", []string{"run", "/nowhere/w.json"}, exitFailed, []string{"/nowhere/w.json"}},
		"file is empty":            {" \n", []string{"run", "-"}, exitFailed, []string{"is empty"}},
		"JSON has a mistake":       {"{\n  \"name\": x}", []string{"run", "-"}, exitFailed, []string{"-:2:11"}},
		"YAML has a mistake":       {"name: [", []string{"run", "-"}, exitFailed, []string{"no YAML"}},
		"coordinator is away":      {"", []string{"workflows", "list", "--coordinator", "http://127.0.0.1:1"}, exitFailed, []string{"http://127.0.0.1:1", "make up"}},
		"Redis is away":            {"", []string{"groups", "--redis", "redis://:secret@127.0.0.1:1"}, exitFailed, []string{"127.0.0.1:1", "make up"}},
		"problem by field":         {`{"name":7}`, []string{"run", "-", "--coordinator", problem}, exitFailed, []string{"422", "\n  body.colour: unexpected property (is \"red\")", "\n  body.name: expected string (is 7)"}},
		"not a coordinator at all": {`{}`, []string{"run", "-", "--coordinator", plain}, exitFailed, []string{"418", "a teapot"}},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := ctl(t, tc.stdin, tc.args...)
			if code != tc.code || stdout != "" {
				t.Errorf("exit code %d, want %d; stdout %q", code, tc.code, stdout)
			}
			for _, part := range tc.says {
				if !strings.Contains(stderr, part) {
					t.Errorf("%q is not in %q", part, stderr)
				}
			}
			for _, never := range []string{"goroutine", "Flags:", "secret"} {
				if strings.Contains(stderr, never) {
					t.Errorf("%q is in %q", never, stderr)
				}
			}
		})
	}
}

const made = `{"id":"wf-1","name":"greeter","state":"failed","percent":50,"stage":"testing","code":"tests_failed","reason":"TestA failed",
	"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:15Z","finished_at":"2026-01-02T03:04:15Z","stages":[
	{"name":"testing","state":"failed","percent":50,"attempt":2,"summary":{"passed":3,"failed":1,"skipped":0,"coverage_percent":70.5}}]}`

func TestRunShowsTheWorkflow(t *testing.T) {
	url, _ := api(t, 201, "application/json", made)
	for name, stdin := range map[string]string{"JSON": `{"name":"greeter"}`, "YAML": "name: greeter\n"} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := ctl(t, stdin, "run", "-", "--coordinator", url, "-o", "json")
			if code != exitOK || stderr != "" || strings.Count(stdout, "\n") != 1 || !strings.Contains(stdout, `"id":"wf-1"`) {
				t.Errorf("%d, %q, %q", code, stdout, stderr)
			}
		})
	}
}

func TestAFailedWorkflowHasItsOwnExitCode(t *testing.T) {
	url, _ := api(t, 200, "application/json", made)
	stdout, stderr, code := ctl(t, "", "workflows", "watch", "wf-1", "--coordinator", url, "--websocket", "http://127.0.0.1:1")
	if code != exitWorkflow || !strings.Contains(stderr, "failed at testing (tests_failed)") {
		t.Errorf("exit code %d, want %d: %q", code, exitWorkflow, stderr)
	}
	for _, part := range []string{"failed after 10.0s", "3 tests passed, 1 failed, 0 skipped, coverage 70.5% (try 2)", "failed at testing (tests_failed):\nTestA failed"} {
		if !strings.Contains(stdout, part) {
			t.Errorf("%q is not in %q", part, stdout)
		}
	}
}

// TestCreateIsRepeated: the key makes it safe where the bus is away for a moment, and only there.
func TestCreateIsRepeated(t *testing.T) {
	for status, want := range map[int]int64{503: 4, 500: 1, 422: 1} {
		url, requests := api(t, status, "application/problem+json", `{}`)
		if _, _, code := ctl(t, `{}`, "run", "-", "--coordinator", url); code != exitFailed {
			t.Errorf("%d: exit code %d", status, code)
		}
		if got := requests.Load(); got != want {
			t.Errorf("%d was asked %d times, want %d", status, got, want)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	stdout, _, code := ctl(t, "", "--help")
	for _, part := range []string{"The local stack:", "Workflows:", "The event bus:", "Exit codes:", "completion"} {
		if !strings.Contains(stdout, part) || code != exitOK {
			t.Errorf("%q is not in the help (exit code %d):\n%s", part, code, stdout)
		}
	}
	if stdout, _, code := ctl(t, "", "--version"); code != exitOK || !strings.HasPrefix(stdout, "agentctl ") {
		t.Errorf("--version: %d %q", code, stdout)
	}
}
