package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentbus/pkg/agent/artifact"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

// bury publishes n events and lets a group of the test fail for good at all there are then.
func (s *system) bury(group string, n, all int) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() {
		done <- consumer.Run(ctx, s.bus, consumer.Subscription{Group: group, Types: []events.Type{events.WorkflowStarted},
			Handle: func(context.Context, consumer.Message) error { return consumer.Permanent(errors.New("no use")) }})
	}()
	for i := range n {
		e, err := events.New(events.WorkflowStarted, fmt.Sprint("wf-", i), "tester", &events.WorkflowStartedData{Stage: events.Audit})
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := s.bus.Publish(s.t.Context(), e); err != nil {
			s.t.Fatal(err)
		}
	}
	servertest.Eventually(s.t, 20*time.Second, func() error {
		letters, err := inspect.New(s.bus).DeadLetters(s.t.Context(), group, inspect.DeadLetterFilter{})
		if err == nil && len(letters) != all {
			err = fmt.Errorf("%d dead letters, want %d", len(letters), all)
		}
		return err
	})
	stop()
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
}

func TestDeadLettersAreForOperators(t *testing.T) {
	t.Parallel()
	tokens := tokensFile(t, "ann blue", "root ops operator")
	s := startSystem(t, 1, func(c *Config) { c.TokensFile = tokens })
	s.bury("sinks", 3, 3)
	s.bury("others", 0, 3)
	root, ann := []string{"Authorization", "Bearer root"}, []string{"Authorization", "Bearer ann"}

	for _, c := range []struct{ method, path, body string }{
		{"GET", "/v1/dead-letters", ""},
		{"POST", "/v1/dead-letters/replay", `{"group":"sinks","ids":["0/1-0"]}`},
		{"POST", "/v1/dead-letters/drop", `{"group":"sinks","ids":["0/1-0"]}`},
	} {
		if status, got := s.do(0, c.method, c.path, c.body, ann...); status != 403 {
			t.Errorf("%s by nobody special: %d %v; want 403", c.path, status, got)
		}
		if status, got := s.do(0, c.method, c.path, c.body); status != 401 {
			t.Errorf("%s by nobody: %d %v; want 401", c.path, status, got)
		}
	}
	status, list := s.do(0, "GET", "/v1/dead-letters?group=sinks&class=permanent", "", root...)
	letters, _ := list["dead_letters"].([]any)
	if status != 200 || len(letters) != 3 {
		t.Fatalf("%d %v; want 3 letters", status, list)
	}
	if status, list := s.do(0, "GET", "/v1/dead-letters?limit=4", "", root...); status != 200 || len(list["dead_letters"].([]any)) != 4 {
		t.Errorf("limit=4 of two groups with three letters each: %d, %d came", status, len(list["dead_letters"].([]any)))
	}
	first := letters[0].(map[string]any)
	if !strings.Contains(first["data"].(string), `"workflow.started"`) || first["error"] != "no use" || first["group"] != "sinks" {
		t.Errorf("a letter is shown as %v", first)
	}
	id, second := first["id"].(string), letters[1].(map[string]any)["id"].(string)
	replay := fmt.Sprintf(`{"group":"sinks","ids":[%q,"0/1-0"]}`, id)
	if status, got := s.do(0, "POST", "/v1/dead-letters/replay", replay, root...); status != 200 || got["done"] != 1.0 || fmt.Sprint(got["missing"]) != "[0/1-0]" {
		t.Errorf("replay: %d %v; want 1 done and 0/1-0 missing", status, got)
	}
	if status, got := s.do(0, "POST", "/v1/dead-letters/drop", fmt.Sprintf(`{"group":"sinks","ids":[%q]}`, second), root...); status != 200 || got["done"] != 1.0 {
		t.Errorf("drop: %d %v", status, got)
	}
	if _, list := s.do(0, "GET", "/v1/dead-letters", "", root...); len(list["dead_letters"].([]any)) != 4 {
		t.Errorf("left over: %v; want one letter of sinks and three of others", list)
	}
	replays, err := s.bus.Client().XRange(t.Context(), s.bus.Names().Replays("sinks", 0), "-", "+").Result()
	if err != nil || len(replays) != 1 || replays[0].Values["replayed_by"] != "root" {
		t.Errorf("replays %v %v; want one by root", replays, err)
	}
	for body, field := range map[string]string{`{"group":"sinks","ids":[]}`: "body.ids", `{"group":"sinks","ids":["x"]}`: "body.ids[0]", `{"group":"","ids":["0/1-0"]}`: "body.group"} {
		if status, got := s.do(0, "POST", "/v1/dead-letters/drop", body, root...); status != 422 || !strings.Contains(fmt.Sprint(got["errors"]), field) {
			t.Errorf("%s: %d %v; want 422 naming %s", body, status, got, field)
		}
	}
	status, got := s.do(0, "GET", "/v1/groups", "", ann...)
	if text := fmt.Sprint(got); status != 200 || !strings.Contains(text, "coordinators") || !strings.Contains(text, "dead_letters:1") {
		t.Errorf("groups: %d %v", status, got)
	}
}

func TestRunAgain(t *testing.T) {
	t.Parallel()
	tokens := tokensFile(t, "ann blue", "rob red")
	s := startSystem(t, 1, func(c *Config) { c.TokensFile = tokens })
	ann := []string{"Authorization", "Bearer ann"}
	_, first := s.do(0, "POST", "/v1/workflows", `{"name":"greeter","stages":{"audit":{"parameters":{"level":7},"timeout_seconds":77,"attempts":4}}}`, ann...)
	path := "/v1/workflows/" + first["id"].(string) + "/run-again"
	if status, got := s.do(0, "POST", path, "", "Authorization", "Bearer rob"); status != 404 {
		t.Errorf("another tenant: %d %v", status, got)
	}
	status, again := s.do(0, "POST", path, "", append(ann, "Idempotency-Key", "k")...)
	if status != http.StatusCreated || again["id"] == first["id"] || again["name"] != "greeter" {
		t.Fatalf("%d %v", status, again)
	}
	if _, same := s.do(0, "POST", path, "", append(ann, "Idempotency-Key", "k")...); same["id"] != again["id"] {
		t.Errorf("the same key gave %v, then %v", again["id"], same["id"])
	}
	state, err := s.bus.Load(t.Context(), s.bus.Names().Workflow(again["id"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := json.Unmarshal(state.Doc, &w); err != nil {
		t.Fatal(err)
	}
	if a := w.Stages[1]; string(a.Parameters) != `{"level":7}` || a.Timeout != 77*time.Second || a.Attempts != 4 {
		t.Errorf("the audit is asked %s, %s, %d times; want what the first was", a.Parameters, a.Timeout, a.Attempts)
	}
}

func TestArtifacts(t *testing.T) {
	t.Parallel()
	dir, tokens := t.TempDir(), tokensFile(t, "ann blue", "rob red")
	s := startSystem(t, 1, func(c *Config) { c.ArtifactURL, c.TokensFile = dir, tokens })
	store, err := artifact.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	const content = "<script>alert(1)</script>"
	report, err := store.Save(t.Context(), events.Artifact{Name: "report \"1\".html", MediaType: "text/html"}, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	s.agents(func(*events.A2ARequestData) *events.A2AResponseData {
		return &events.A2AResponseData{Status: events.A2ASucceeded, Artifacts: []events.Artifact{report}}
	})
	_, made := s.do(0, "POST", "/v1/workflows", `{"name":"greeter"}`, "Authorization", "Bearer ann")
	id := made["id"].(string)
	servertest.Eventually(t, 20*time.Second, func() error {
		if _, got := s.do(0, "GET", "/v1/workflows/"+id, "", "Authorization", "Bearer ann"); got["state"] != "completed" {
			return fmt.Errorf("state %v", got["state"])
		}
		return nil
	})
	get := func(who, digest string) (*http.Response, []byte, error) {
		t.Helper()
		address, err := url.JoinPath(s.urls[0], "/v1/workflows", id, "artifacts", digest)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+who)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = res.Body.Close() }()
		raw, err := io.ReadAll(res.Body)
		return res, raw, err
	}
	res, raw, err := get("ann", report.SHA256)
	if err != nil || string(raw) != content {
		t.Fatalf("%s, %v", raw, err)
	}
	for name, want := range map[string]string{"Content-Type": "text/html", "X-Content-Type-Options": "nosniff", "Content-Length": "25",
		"Content-Disposition": `attachment; filename="report \"1\".html"`, "Content-Security-Policy": "sandbox; default-src 'none'"} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	other := sha256.Sum256([]byte("other"))
	for _, c := range []struct {
		who, digest string
		want        int
	}{{"rob", report.SHA256, 404}, {"ann", hex.EncodeToString(other[:]), 404}, {"ann", "x", 422}, {"eve", report.SHA256, 401}} {
		if res, raw, err := get(c.who, c.digest); err != nil || res.StatusCode != c.want {
			t.Errorf("%s, %.10s: %s, %v; want %d", c.who, c.digest, raw, err, c.want)
		}
	}
	// Other bytes of the same length: the answer must not look whole.
	if err := os.WriteFile(filepath.Join(dir, "sha256", report.SHA256), bytes.Repeat([]byte("x"), len(content)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, raw, err := get("ann", report.SHA256); err == nil {
		t.Errorf("bytes that were changed came as %s", raw)
	}
	if err := os.RemoveAll(filepath.Join(dir, "sha256")); err != nil {
		t.Fatal(err)
	}
	if res, raw, err := get("ann", report.SHA256); err != nil || res.StatusCode != 404 {
		t.Errorf("content that is gone: %s, %v; want 404", raw, err)
	}
}
