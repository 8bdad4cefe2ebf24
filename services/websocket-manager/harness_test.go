package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"nhooyr.io/websocket"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/service"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// patience bounds every wait of the tests.
const patience = 20 * time.Second

// system is a prefix of the shared Redis with a Bus to publish on.
type system struct {
	bus *bus.Bus
	cfg Config
}

func newSystem(t *testing.T) *system {
	t.Helper()
	return newSystemOn(t, servertest.Redis(t))
}

func newSystemOn(t *testing.T, url string) *system {
	t.Helper()
	cfg := Config{
		Config: bus.Config{URL: url, Prefix: servertest.Prefix(t)}, HTTPAddr: "127.0.0.1:0", Coordinator: "http://127.0.0.1:9", MaxPerAddr: 100, UpgradeRate: 1000,
		Entries: 500, TTL: time.Hour, Rows: 50, GapWait: 35 * time.Second, MaxClients: 100, MaxLag: 1000,
		WriteTimeout: 10 * time.Second, PingEvery: 20 * time.Second,
	}
	b, err := bus.Open(t.Context(), cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return &system{bus: b, cfg: cfg}
}

// replica is a running service.
type replica struct {
	addr string
	stop func()
}

func (s *system) replica(t *testing.T) *replica {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	rt := service.NewRuntime(zerolog.Nop(), nil)
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, s.cfg, rt) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Error("the replica did not stop")
			}
		})
	}
	t.Cleanup(stop)
	servertest.Eventually(t, patience, func() error {
		if rt.Addr("HTTP_ADDR") == "" {
			return fmt.Errorf("not listening")
		}
		return nil
	})
	return &replica{addr: rt.Addr("HTTP_ADDR"), stop: stop}
}

func (s *system) publish(t *testing.T, workflow string, n int) {
	t.Helper()
	for i := range n {
		e, err := events.New(events.WorkflowProgressed, workflow, "tester", &events.WorkflowProgressedData{Percent: i % 100, Stage: events.Audit})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// logEndsAt waits until the workflow's log has come to this number.
func (s *system) logEndsAt(t *testing.T, workflow string, seq float64) {
	t.Helper()
	servertest.Eventually(t, patience, func() error {
		top, err := s.bus.Client().ZRevRangeWithScores(t.Context(), s.bus.Names().LiveLog(workflow), 0, 0).Result()
		if err != nil || len(top) == 0 || top[0].Score != seq {
			return fmt.Errorf("the log ends at %v: %w", top, err)
		}
		return nil
	})
}

// serverFrame is any frame of the server.
type serverFrame struct {
	Type       string                   `json:"type"`
	WorkflowID string                   `json:"workflow_id"`
	Seq        int64                    `json:"seq"`
	From       int64                    `json:"from"`
	To         int64                    `json:"to"`
	Protocol   int                      `json:"protocol"`
	Code       string                   `json:"code"`
	Message    string                   `json:"message"`
	Reset      bool                     `json:"reset"`
	Snapshot   bool                     `json:"snapshot"`
	AfterMS    int64                    `json:"after_ms"`
	Event      *events.Event            `json:"event"`
	Rows       []map[string]interface{} `json:"rows"`
}

// client is a WebSocket of a test.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

func (r *replica) dial(t *testing.T, query string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+r.addr+"/ws"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(4 << 20)
	c := &client{t, conn}
	t.Cleanup(func() { _ = conn.CloseNow() })
	if hello := c.next(); hello.Type != "hello" || hello.Protocol != 1 {
		t.Fatalf("the first frame is %+v, want hello of protocol 1", hello)
	}
	return c
}

func (c *client) read() (serverFrame, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var f serverFrame
	_, raw, err := c.conn.Read(ctx)
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(raw, &f)
}

func (c *client) next() serverFrame {
	c.t.Helper()
	f, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

func (c *client) send(frame string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		c.t.Fatal(err)
	}
}

// await returns the next frame of this type and fails on an error frame.
func (c *client) await(kind string) serverFrame {
	c.t.Helper()
	for {
		f := c.next()
		if f.Type == kind {
			return f
		}
		if f.Type == "error" {
			c.t.Fatalf("error frame: %+v", f)
		}
	}
}

// course reads a workflow's events from after since up to last: each once, in order, nothing else.
func (c *client) course(workflow string, since, last int64) {
	c.t.Helper()
	for at := since; at < last; {
		f := c.next()
		switch {
		case f.Type == "gap", f.Type == "error":
			c.t.Fatalf("after %d came %+v", at, f)
		case f.Type != "event" || f.WorkflowID != workflow:
		case f.Seq != at+1 || f.Event == nil || f.Event.WorkflowID != workflow:
			c.t.Fatalf("after %d came %d", at, f.Seq)
		default:
			at = f.Seq
		}
	}
}
