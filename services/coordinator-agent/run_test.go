package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/golden"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/service"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// system is coordinators on a prefix of their own, with a bus to play the agents.
type system struct {
	t    *testing.T
	bus  *bus.Bus
	urls []string
	regs []*prometheus.Registry
}

func startSystem(t *testing.T, replicas int, adapt func(*Config)) *system {
	t.Helper()
	return startSystemOn(t, bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t)}, replicas, adapt)
}

func startSystemOn(t *testing.T, base bus.Config, replicas int, adapt func(*Config)) *system {
	t.Helper()
	s := &system{t: t}
	var err error
	if s.bus, err = bus.Open(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.bus.Close() })
	for range replicas {
		cfg := Config{Config: base, HTTPAddr: "127.0.0.1:0", ArtifactURL: t.TempDir(), AcceptTimeout: time.Second, QueueTimeout: time.Hour,
			SilentTimeout: 10 * time.Second, StageTimeout: time.Minute, StageAttempts: 2, KeepFinished: time.Hour}
		if adapt != nil {
			adapt(&cfg)
		}
		rt := service.NewRuntime(zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel), nil)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- run(ctx, cfg, rt) }()
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		})
		servertest.Eventually(t, 5*time.Second, func() error {
			if rt.Addr("HTTP_ADDR") == "" {
				return errors.New("not listening yet")
			}
			return nil
		})
		s.urls, s.regs = append(s.urls, "http://"+rt.Addr("HTTP_ADDR")), append(s.regs, rt.Metrics)
	}
	return s
}

// agents answers every request with what reply says, through the real bus.
func (s *system) agents(reply func(*events.A2ARequestData) *events.A2AResponseData) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- consumer.Run(ctx, s.bus, consumer.Subscription{Group: "test_agents", Types: []events.Type{events.A2ARequest},
			Handle: func(ctx context.Context, m consumer.Message) error {
				r, err := events.PayloadOf[events.A2ARequestData](m.Event)
				if err != nil {
					return consumer.Permanent(err)
				}
				a := reply(r)
				a.CorrelationID, a.From, a.To, a.Stage, a.Attempt = r.CorrelationID, r.To, r.From, r.Stage, r.Attempt
				e, err := events.New(events.A2AResponse, m.Event.WorkflowID, r.To, a)
				if err == nil {
					_, err = s.bus.Publish(ctx, e)
				}
				return err
			}})
	}()
	s.t.Cleanup(func() { stop(); <-done })
}

func succeed(*events.A2ARequestData) *events.A2AResponseData {
	return &events.A2AResponseData{Status: events.A2ASucceeded}
}

func (s *system) do(replica int, method, path, body string, header ...string) (int, map[string]any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.urls[replica]+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var out map[string]any
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&out); err != nil {
		s.t.Fatalf("%s %s: %d: %s", method, path, res.StatusCode, raw)
	}
	return res.StatusCode, out
}

func (s *system) await(id, state string) map[string]any {
	s.t.Helper()
	var got map[string]any
	servertest.Eventually(s.t, 30*time.Second, func() error {
		_, got = s.do(0, "GET", "/v1/workflows/"+id, "")
		if got["state"] != state {
			return fmt.Errorf("state is %v (%v); want %s", got["state"], got["reason"], state)
		}
		return nil
	})
	return got
}

func TestTwoCoordinatorsDoEachTransitionOnce(t *testing.T) {
	t.Parallel()
	s := startSystem(t, 2, nil)
	s.agents(succeed)
	var mu sync.Mutex
	count := map[string]map[events.Type]int{}
	ctx, stop := context.WithCancel(context.Background())
	tailed := make(chan struct{})
	go func() {
		defer close(tailed)
		types, _ := events.Match("*")
		_ = consumer.Tail(ctx, s.bus, consumer.Tailing{Types: types, From: "0"}, func(m consumer.Message) error {
			mu.Lock()
			defer mu.Unlock()
			if count[m.Event.WorkflowID] == nil {
				count[m.Event.WorkflowID] = map[events.Type]int{}
			}
			count[m.Event.WorkflowID][m.Event.Type]++
			return nil
		})
	}()
	defer func() { stop(); <-tailed }()
	var ids []string
	for i := range 10 {
		status, w := s.do(i%2, "POST", "/v1/workflows", `{"name":"greeter"}`)
		if status != http.StatusCreated {
			t.Fatalf("created with %d: %v", status, w)
		}
		ids = append(ids, w["id"].(string))
	}
	for _, id := range ids {
		s.await(id, "completed")
		servertest.Eventually(t, 5*time.Second, func() error {
			mu.Lock()
			defer mu.Unlock()
			c := count[id]
			if c[events.A2ARequest] != 4 || c[events.WorkflowCreated] != 1 || c[events.WorkflowStarted] != 1 || c[events.WorkflowCompleted] != 1 {
				return fmt.Errorf("%s: events %v; want 4 requests and created, started, completed once", id, c)
			}
			return nil
		})
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := startSystem(t, 2, nil)
	_, first := s.do(0, "POST", "/v1/workflows", `{"name":"greeter"}`, "Idempotency-Key", "k1")
	status, again := s.do(1, "POST", "/v1/workflows", `{"name":"greeter"}`, "Idempotency-Key", "k1")
	if status != http.StatusCreated || again["id"] != first["id"] {
		t.Errorf("the repeat gave %d %v; want the workflow %v", status, again["id"], first["id"])
	}
	status, p := s.do(0, "POST", "/v1/workflows", `{"name":"other"}`, "Idempotency-Key", "k1")
	if status != http.StatusUnprocessableEntity || !strings.Contains(fmt.Sprint(p["errors"]), "Idempotency-Key") {
		t.Errorf("another body under the key gave %d %v; want 422 naming the header", status, p)
	}
	if _, list := s.do(0, "GET", "/v1/workflows", ""); len(list["workflows"].([]any)) != 1 {
		t.Errorf("%v; want one workflow", list)
	}
}

func TestBadRequestsNameTheField(t *testing.T) {
	t.Parallel()
	s := startSystem(t, 1, nil)
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"bad JSON":             {"POST", "/v1/workflows", `{"name":`, 400, "body"},
		"name missing":         {"POST", "/v1/workflows", `{}`, 422, "name"},
		"name wrong":           {"POST", "/v1/workflows", `{"name":"Not OK"}`, 422, "inner dashes"},
		"name of wrong type":   {"POST", "/v1/workflows", `{"name":7}`, 422, "body.name"},
		"unknown field":        {"POST", "/v1/workflows", `{"name":"a","nmae":1}`, 422, "body.nmae"},
		"unknown stage":        {"POST", "/v1/workflows", `{"name":"a","stages":{"lunch":{}}}`, 422, "body.stages.lunch"},
		"timeout out of range": {"POST", "/v1/workflows", `{"name":"a","stages":{"audit":{"timeout_seconds":-1}}}`, 422, "body.stages.audit.timeout_seconds"},
		"parameters with NUL":  {"POST", "/v1/workflows", `{"name":"a","stages":{"audit":{"parameters":{"x":"\u0000"}}}}`, 422, "body.stages.audit.parameters"},
		"body too large":       {"POST", "/v1/workflows", `{"name":"` + strings.Repeat("a", 2<<20) + `"}`, 413, "large"},
		"unknown workflow":     {"GET", "/v1/workflows/wf-none", "", 404, "path.id"},
		"bad cursor":           {"GET", "/v1/workflows?cursor=x", "", 422, "query.cursor"},
		"bad limit":            {"GET", "/v1/workflows?limit=0", "", 422, "query.limit"},
		"unknown query":        {"GET", "/v1/workflows?sort=name", "", 422, "sort"},
		"cancel unknown":       {"POST", "/v1/workflows/wf-none/cancel", "", 404, "path.id"},
	} {
		t.Run(name, func(t *testing.T) {
			status, p := s.do(0, tc.method, tc.path, tc.body)
			if status != tc.status || !strings.Contains(fmt.Sprint(p), tc.says) {
				t.Errorf("got %d %v; want %d with %q", status, p, tc.status, tc.says)
			}
		})
	}
}

func TestListPagesThroughAll(t *testing.T) {
	t.Parallel()
	s := startSystem(t, 1, nil)
	want := map[string]bool{}
	for i := range 7 {
		_, w := s.do(0, "POST", "/v1/workflows", fmt.Sprintf(`{"name":"w%d"}`, i))
		want[w["id"].(string)] = true
	}
	path, pages := "/v1/workflows?limit=3&state=running", 0
	for {
		_, page := s.do(0, "GET", path, "")
		pages++
		for _, w := range page["workflows"].([]any) {
			id := w.(map[string]any)["id"].(string)
			if !want[id] {
				t.Fatalf("%s was listed twice, or never created", id)
			}
			delete(want, id)
		}
		next, more := page["next_cursor"].(string)
		if !more {
			break
		}
		path = "/v1/workflows?limit=3&state=running&cursor=" + next
	}
	if len(want) > 0 || pages != 3 {
		t.Errorf("%d pages, %v not listed; want 3 pages with all", pages, want)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := startSystem(t, 1, nil)
	_, w := s.do(0, "POST", "/v1/workflows", `{"name":"greeter"}`)
	path := "/v1/workflows/" + w["id"].(string) + "/cancel"
	status, got := s.do(0, "POST", path, `{"reason":"wrong branch"}`)
	if status != 200 || got["state"] != "cancelled" || got["reason"] != "wrong branch" {
		t.Errorf("cancel gave %d %v", status, got)
	}
	if status, _ = s.do(0, "POST", path, ""); status != 200 {
		t.Errorf("cancelling again gave %d; want 200", status)
	}
}

func TestADeadlineOutlivesItsCoordinator(t *testing.T) {
	t.Parallel()
	var id string
	var prefix string
	t.Run("create, then die", func(t *testing.T) {
		s := startSystem(t, 1, nil)
		_, w := s.do(0, "POST", "/v1/workflows", `{"name":"greeter"}`)
		id, prefix = w["id"].(string), s.bus.Names().Prefix
	})
	s := startSystem(t, 1, func(c *Config) { c.Prefix = prefix })
	got := s.await(id, "failed") // nobody is there to do it
	if got["code"] != "agent_unavailable" || got["stage"] != "generation" {
		t.Errorf("failed with %v at %v: %v", got["code"], got["stage"], got["reason"])
	}
}

func TestAnotherSitesPageCannotAct(t *testing.T) {
	t.Parallel()
	s := startSystem(t, 1, nil)
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.urls[0]+"/v1/workflows", strings.NewReader(`{"name":"greeter"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://evil.example")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("got %d; want 403", res.StatusCode)
	}
}

// TestOpenAPI keeps the published document at what a running coordinator serves.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := startSystem(t, 1, nil)
	doc, err := http.Get(s.urls[0] + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = doc.Body.Close() }()
	text, err := io.ReadAll(doc.Body)
	if err != nil {
		t.Fatal(err)
	}
	golden.JSON(t, "openapi.json", json.RawMessage(text))
	res, err := http.Get(s.urls[0] + "/docs/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	page, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 || !bytes.Contains(page, []byte("/openapi.json")) || bytes.Contains(page, []byte("https://cdn")) {
		t.Errorf("/docs/ gave %d: %.300s", res.StatusCode, page)
	}
}
