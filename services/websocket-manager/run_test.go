package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"nhooyr.io/websocket"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/golden"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/services/websocket-manager/live"
)

// TestEachEventOnceInOrder has two replicas share the reading while clients on both follow the same
// workflow from its beginning, from the middle, and over a reconnect to the other replica.
func TestEachEventOnceInOrder(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	one, two := s.replica(t), s.replica(t)
	const before, during = 120, 200
	s.publish(t, "wf-1", before)

	early := one.dial(t, "?workflow_id=wf-1")
	early.course("wf-1", 0, before)
	late := two.dial(t, "?workflow_id=wf-1&since=100")
	reconnecting := two.dial(t, "?workflow_id=wf-1")

	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.publish(t, "wf-1", during) })
	wg.Go(func() { s.publish(t, "another", during) })
	reconnecting.course("wf-1", 0, before+70)
	_ = reconnecting.conn.Close(websocket.StatusNormalClosure, "")
	again := one.dial(t, fmt.Sprintf("?workflow_id=wf-1&since=%d", before+70))

	early.course("wf-1", before, before+during)
	late.course("wf-1", 100, before+during)
	again.course("wf-1", before+70, before+during)
}

func TestSeveralWorkflowsOnOneSocket(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.replica(t)
	s.publish(t, "a", 3)
	s.publish(t, "b", 2)
	c := r.dial(t, "")
	c.send(`{"type":"subscribe","workflow_id":"a"}`)
	c.course("a", 0, 3)
	c.send(`{"type":"subscribe","workflow_id":"b","since":1}`)
	c.course("b", 1, 2)
	c.send(`{"type":"unsubscribe","workflow_id":"a"}`)
	c.await("unsubscribed")
	s.publish(t, "a", 1)
	s.publish(t, "b", 1)
	if f := c.await("event"); f.WorkflowID != "b" || f.Seq != 3 {
		t.Errorf("after unsubscribing came %+v, want event 3 of b", f)
	}
	c.send(`{"type":"subscribe","workflow_id":"a","since":3}`)
	c.course("a", 3, 4)
}

func TestListIsLive(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	one, two := s.replica(t), s.replica(t)
	s.publish(t, "old", 1)
	row := func(c *client, id string, want func(map[string]any) bool) {
		t.Helper()
		for {
			for _, r := range c.await("rows").Rows {
				if r["workflow_id"] == id && want(r) {
					return
				}
			}
		}
	}
	c := one.dial(t, "?list=1")
	if f := c.await("rows"); !f.Snapshot {
		t.Errorf("the first rows are %+v, want a snapshot", f)
	}
	d := two.dial(t, "")
	d.send(`{"type":"subscribe","list":true}`)

	e, err := events.New(events.WorkflowCreated, "new", "tester", &events.WorkflowCreatedData{Name: "greeter", Stages: events.Stages()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.bus.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	s.publish(t, "new", 41)
	for _, c := range []*client{c, d} {
		row(c, "new", func(r map[string]any) bool {
			return r["name"] == "greeter" && r["state"] == "running" && r["percent"] == 40.0 && r["stage"] == "audit" && r["seq"] == 42.0
		})
	}
}

// add writes an entry of a workflow's log as another member would, in any order, and announces it.
func (s *system) add(t *testing.T, workflow string, seqs ...int64) {
	t.Helper()
	for _, seq := range seqs {
		member := fmt.Sprintf(`{"seq":%d,"event":{"id":%q,"type":"workflow.progressed","workflow_id":%q,"timestamp":"2026-01-02T03:04:05Z","data":{},"source_agent":"x"}}`,
			seq, uuid.NewString(), workflow)
		if err := s.bus.Client().ZAdd(t.Context(), s.bus.Names().LiveLog(workflow), redis.Z{Score: float64(seq), Member: member}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.bus.Client().Publish(t.Context(), s.bus.Names().LiveChannel(workflow), "").Err(); err != nil {
		t.Fatal(err)
	}
}

func TestMissingEventIsWaitedForThenTold(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.cfg.GapWait = time.Second
	r := s.replica(t)
	c := r.dial(t, "?workflow_id=wf")
	c.await("live")
	s.add(t, "wf", 1, 3)
	c.course("wf", 0, 1)
	s.add(t, "wf", 2) // in time
	c.course("wf", 1, 3)
	start := time.Now()
	s.add(t, "wf", 6, 7)
	f := c.next()
	if f.Type != "gap" || f.From != 4 || f.To != 5 {
		t.Fatalf("got %+v, want the gap 4 to 5", f)
	}
	if waited := time.Since(start); waited < s.cfg.GapWait/2 {
		t.Errorf("told after %s, want about %s", waited, s.cfg.GapWait)
	}
	c.course("wf", 5, 7)
}

func TestTrimmedEventsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.cfg.Entries = 20
	r := s.replica(t)
	s.publish(t, "wf", 50)
	s.logEndsAt(t, "wf", 50)
	c := r.dial(t, "?workflow_id=wf&since=10")
	if f := c.await("gap"); f.From != 11 || f.To != 30 {
		t.Fatalf("got %+v, want the gap 11 to 30", f)
	}
	c.course("wf", 30, 50)
}

// TestLiveComesAfterThePast: a client that begins is told that it is live when it has had all there was,
// and is not taken for slow while it reads that.
func TestLiveComesAfterThePast(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.cfg.MaxLag = 10
	r := s.replica(t)
	s.publish(t, "wf", 50)
	s.logEndsAt(t, "wf", 50)
	c := r.dial(t, "?workflow_id=wf")
	if f := c.next(); f.Type != "subscribed" {
		t.Fatalf("got %+v, want subscribed", f)
	}
	for want := int64(1); want <= 50; want++ {
		if f := c.next(); f.Type != "event" || f.Seq != want {
			t.Fatalf("got %+v, want event %d", f, want)
		}
	}
	if f := c.next(); f.Type != "live" || f.Seq != 50 {
		t.Fatalf("got %+v, want live at 50", f)
	}
}

// TestExpiredLogIsToldAsAGap: the log is gone as a whole, the bus still counts the workflow's events.
func TestExpiredLogIsToldAsAGap(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.cfg.GapWait = time.Second
	r := s.replica(t)
	s.publish(t, "wf", 5)
	s.logEndsAt(t, "wf", 5)
	if err := s.bus.Client().Del(t.Context(), s.bus.Names().LiveLog("wf")).Err(); err != nil {
		t.Fatal(err)
	}
	c := r.dial(t, "?workflow_id=wf&since=2")
	if f := c.await("gap"); f.From != 3 || f.To != 5 {
		t.Fatalf("got %+v, want the gap 3 to 5", f)
	}
	if f := c.next(); f.Type != "live" || f.Seq != 5 {
		t.Fatalf("got %+v, want live at 5", f)
	}
	s.publish(t, "wf", 2)
	c.course("wf", 5, 7)
}

// TestNumbersBeginAnew: Redis was lost, the client resumes after a number that does not exist.
func TestNumbersBeginAnew(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.replica(t)
	s.publish(t, "wf", 3)
	r.dial(t, "?workflow_id=wf").course("wf", 0, 3)
	c := r.dial(t, "?workflow_id=wf&since=1000000")
	if f := c.await("subscribed"); !f.Reset {
		t.Errorf("got %+v, want a reset", f)
	}
	c.course("wf", 0, 3)
	r.dial(t, "?workflow_id=wf").course("wf", 0, 3)
}

// TestSlowClientIsCutOff: one client does not read while events come; it gets the code for that once it
// reads on, and the other client has had everything meanwhile.
func TestSlowClientIsCutOff(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.cfg.MaxLag, s.cfg.WriteTimeout = 50, time.Minute
	r := s.replica(t)
	slow, fast := r.dial(t, "?workflow_id=wf"), r.dial(t, "?workflow_id=wf")
	slow.await("live")
	const n = 200 // of 64 KiB: more than the buffers of a connection hold
	wide := strings.Repeat("x", 64<<10)
	var wg sync.WaitGroup
	wg.Go(func() { fast.course("wf", 0, n) })
	for i := range n {
		e, err := events.New(events.WorkflowProgressed, "wf", "tester", &events.WorkflowProgressedData{Percent: i % 100, Stage: events.Audit, Message: wide})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	<-time.After(live.SlowPage) // however fast all that was
	last := int64(0)
	for {
		f, err := slow.read()
		if err != nil {
			if code := websocket.CloseStatus(err); code != 4408 {
				t.Errorf("closed with %d (%v), want 4408", code, err)
			}
			break
		}
		last = f.Seq
	}
	if last >= n {
		t.Fatalf("the slow client got all %d events", n)
	}
	r.dial(t, fmt.Sprintf("?workflow_id=wf&since=%d", last)).course("wf", last, n) // it resumes
}

// TestABurstCutsNobodyOff: what comes at once puts everybody behind, and is nobody's fault.
func TestABurstCutsNobodyOff(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.cfg.MaxLag = 10
	r := s.replica(t)
	c := r.dial(t, "?workflow_id=wf")
	c.await("live")
	const n = 200
	burst := make([]events.Event, n)
	for i := range burst {
		var err error
		if burst[i], err = events.New(events.WorkflowProgressed, "wf", "tester", &events.WorkflowProgressedData{Percent: i % 100, Stage: events.Audit}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.bus.Publish(t.Context(), burst...); err != nil {
		t.Fatal(err)
	}
	c.course("wf", 0, n)
}

func TestClientThatNeverReadsIsDropped(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.cfg.WriteTimeout = 200 * time.Millisecond
	r := s.replica(t)
	dead := r.dial(t, "?workflow_id=wf")
	wide := strings.Repeat("x", 256<<10)
	for range 100 {
		e, err := events.New(events.WorkflowProgressed, "wf", "tester", &events.WorkflowProgressedData{Stage: events.Audit, Message: wide})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Eventually(t, patience, func() error {
		if n, err := s.bus.Client().PubSubNumSub(t.Context(), s.bus.Names().LiveChannel("wf")).Result(); err != nil || n[s.bus.Names().LiveChannel("wf")] != 0 {
			return fmt.Errorf("still served: %v, %w", n, err)
		}
		return nil
	})
	_ = dead.conn.CloseNow()
}

func TestDrainClosesAllAtOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.replica(t)
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = r.dial(t, "?list=1")
	}
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for {
				if _, err := c.read(); err != nil {
					if code := websocket.CloseStatus(err); code != websocket.StatusGoingAway {
						t.Errorf("closed with %d (%v), want 1001", code, err)
					}
					return
				}
			}
		})
	}
	start := time.Now()
	r.stop()
	wg.Wait()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the drain took %s", took)
	}
}

// TestRedisRestart kills Redis under a client: it stays connected and misses nothing.
func TestRedisRestart(t *testing.T) {
	t.Parallel()
	server := servertest.OwnRedis(t, devserver.RedisOptions{})
	s := newSystemOn(t, server.URL)
	r := s.replica(t)
	c := r.dial(t, "?workflow_id=wf")
	s.publish(t, "wf", 5)
	c.course("wf", 0, 5)
	server.Kill()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, patience, func() error { return s.bus.Ping(t.Context()) })
	s.publish(t, "wf", 5)
	c.course("wf", 5, 10)
}

func TestForeignEntryReachesClients(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.replica(t)
	c := r.dial(t, "?workflow_id=by-hand")
	id := uuid.NewString()
	for range 2 { // the second is the same event
		if err := s.bus.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: s.bus.Names().Stream(events.WorkflowProgressed, 0), Values: []string{"data",
			fmt.Sprintf(`{"id":%q,"type":"WORKFLOW_PROGRESSED","workflow_id":"by-hand","timestamp":"2026-01-02T03:04:05Z","data":{"percent":"wrong type"},"source_agent":"python"}`, id)}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if f := c.await("event"); f.Seq != 1 || f.Event.ID != id || f.Event.Type != events.WorkflowProgressed {
		t.Errorf("got %+v", f)
	}
	s.publish(t, "by-hand", 1)
	c.course("by-hand", 1, 2)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.replica(t)
	for query, says := range map[string]string{
		"?workflow_id=":                            "workflow_id: is missing",
		"?workflow_id=a/b":                         "workflow_id",
		"?workflow_id=..":                          "workflow_id",
		"?workflow_id=a&since=x":                   "since",
		"?workflow_id=a&since=-1":                  "since",
		"?workflow_id=a&list=1":                    "one of them",
		"?list=yes":                                "list",
		"?workflow=a":                              "workflow",
		"?workflow_id=a&workflow_id=b":             "subscribe frame",
		"?workflow_id=" + strings.Repeat("a", 200): "at most 128",
	} {
		resp, err := http.Get("http://" + r.addr + "/ws" + query) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), says) {
			t.Errorf("%s: %d %q, want 400 with %q", query, resp.StatusCode, body, says)
		}
	}
	c := r.dial(t, "")
	for frame, says := range map[string]string{
		`{`:                                      "JSON",
		`{"type":"shout"}`:                       "type",
		`{"type":"subscribe"}`:                   "workflow_id",
		`{"type":"subscribe","id":"x"}`:          "id",
		`{"type":"subscribe","workflow_id":5}`:   "workflow_id",
		`{"type":"subscribe","list":true} extra`: "nothing after",
	} {
		c.send(frame)
		if f := c.next(); f.Type != "error" || f.Code != "bad_request" || !strings.Contains(f.Message, says) {
			t.Errorf("%s: %+v, want an error with %q", frame, f, says)
		}
	}
	if err := c.conn.Write(t.Context(), websocket.MessageBinary, []byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.read(); websocket.CloseStatus(err) != 4400 {
		t.Errorf("a binary frame ended with %v, want 4400", err)
	}
}

func TestOriginIsCheckedBeforeTheUpgrade(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.replica(t)
	for origin, want := range map[string]int{"http://" + r.addr: 101, "http://evil.example": 403, "null": 403} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		conn, resp, _ := websocket.Dial(ctx, "ws://"+r.addr+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		cancel()
		if resp == nil || resp.StatusCode != want {
			t.Errorf("origin %s: %+v, want %d", origin, resp, want)
		}
		if conn != nil {
			_ = conn.CloseNow()
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.replica(t)
	for path, kind := range map[string]string{"/": "text/html", "/app.js": "text/javascript", "/style.css": "text/css", "/favicon.svg": "image/svg+xml"} {
		resp, err := http.Get("http://" + r.addr + path) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		csp := resp.Header.Get("Content-Security-Policy")
		if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), kind) || len(body) == 0 ||
			!strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
		if path == "/" && (strings.Contains(string(body), "<style") || strings.Contains(string(body), "onclick") || strings.Contains(string(body), "style=")) {
			t.Error("the page has inline code, which its own policy forbids")
		}
	}
}

// TestOpenAPI keeps the published document at what a running replica serves.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	res, err := http.Get("http://" + newSystem(t).replica(t).addr + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	golden.JSON(t, "api/openapi.json", json.RawMessage(text))
}
