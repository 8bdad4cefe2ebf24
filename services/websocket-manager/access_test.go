package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"nhooyr.io/websocket"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// restrict makes replicas ask for tokens; each is named like its subject.
func (s *system) restrict(t *testing.T) {
	t.Helper()
	path, text := filepath.Join(t.TempDir(), "tokens"), ""
	for _, line := range []string{"ann blue", "rob red", "root ops operator"} {
		subject, _, _ := strings.Cut(line, " ")
		text += fmt.Sprintf("sha256:%x %s\n", sha256.Sum256([]byte(subject)), line)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cfg.TokensFile = path
}

// create commits a workflow of a tenant with its first event, as the coordinator does.
func (s *system) create(t *testing.T, id, tenant string) {
	t.Helper()
	doc, err := json.Marshal(map[string]string{"id": id, "tenant": tenant})
	if err != nil {
		t.Fatal(err)
	}
	e, err := events.New(events.WorkflowCreated, id, "tester", &events.WorkflowCreatedData{Name: "greeter", Stages: events.Stages()})
	if err != nil {
		t.Fatal(err)
	}
	e.Metadata = map[string]string{events.MetadataTenant: tenant}
	if _, err := s.bus.Commit(t.Context(), bus.Change{Key: s.bus.Names().Workflow(id), Doc: doc}, e); err != nil {
		t.Fatal(err)
	}
}

// get sends a request to the replica, as somebody ("": nobody).
func (r *replica) get(t *testing.T, method, path, who string, header ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+who)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body := make([]byte, 4<<10)
	n, err := io.ReadAtLeast(res.Body, body, 1) // a stream does not end
	if err != nil && n > 0 {
		t.Fatal(err)
	}
	return res.StatusCode, string(body[:n])
}

// ticket trades a token for a ticket.
func (r *replica) ticket(t *testing.T, who string) string {
	t.Helper()
	status, body := r.get(t, "POST", "/v1/tickets", who)
	var out struct{ Ticket string }
	if err := json.Unmarshal([]byte(body), &out); status != http.StatusCreated || err != nil || out.Ticket == "" {
		t.Fatalf("a ticket for %s: %d %s", who, status, body)
	}
	return out.Ticket
}

// TestWhoComesIn is the matrix of origins, hosts, tokens, tickets and tenants over the WebSocket, Server-Sent
// Events and the history.
func TestWhoComesIn(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.restrict(t)
	s.create(t, "wf-blue", "blue")
	s.publish(t, "wf-nobodys", 1)
	r, other := s.replica(t), s.replica(t)
	servertest.Eventually(t, patience, func() error {
		if status, body := r.get(t, "GET", "/v1/workflows/wf-blue/history", "ann"); status != 200 || !strings.Contains(body, `"seq":1`) {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	spent := r.ticket(t, "ann")
	if status, body := r.get(t, "GET", "/v1/workflows/wf-blue/events?ticket="+spent, ""); status != 200 {
		t.Fatalf("a fresh ticket: %d %s", status, body)
	}

	const upgrade = "/ws?workflow_id=wf-blue"
	for _, c := range []struct {
		name, path, who string
		header          []string
		want            int
	}{
		{"nobody", upgrade, "", nil, 401},
		{"stranger", upgrade, "eve", nil, 401},
		{"token in the address", upgrade + "&access_token=ann", "", nil, 400},
		{"made-up ticket", upgrade + "&ticket=AAAA", "", nil, 401},
		{"spent ticket", upgrade + "&ticket=" + spent, "", nil, 401},
		{"spent ticket beside a token", upgrade + "&ticket=" + spent, "ann", nil, 401},
		{"other origin", upgrade, "ann", []string{"Origin", "http://evil.example"}, 403},
		{"origin null", upgrade, "ann", []string{"Origin", "null"}, 403},
		{"origin with our name in front", upgrade, "ann", []string{"Origin", "http://" + r.addr + ".evil.example"}, 403},
		{"rebinding", upgrade, "ann", []string{"Host", "evil.example", "Origin", "http://evil.example"}, 421},
		{"own tenant", "/v1/workflows/wf-blue/events", "ann", nil, 200},
		{"operator", "/v1/workflows/wf-blue/events", "root", nil, 200},
		{"other tenant", "/v1/workflows/wf-blue/events", "rob", nil, 404},
		{"no such workflow", "/v1/workflows/wf-none/events", "ann", nil, 404},
		{"nobody's workflow", "/v1/workflows/wf-nobodys/events", "ann", nil, 404},
		{"nobody's workflow, operator", "/v1/workflows/wf-nobodys/events", "root", nil, 200},
		{"stream, nobody", "/v1/workflows/wf-blue/events", "", nil, 401},
		{"stream, spent ticket", "/v1/workflows/wf-blue/events?ticket=" + spent, "", nil, 401},
		{"history, own tenant", "/v1/workflows/wf-blue/history", "ann", nil, 200},
		{"history, other tenant", "/v1/workflows/wf-blue/history", "rob", nil, 404},
		{"history, nobody", "/v1/workflows/wf-blue/history", "", nil, 401},
		{"history by ticket", "/v1/workflows/wf-blue/history?ticket=" + r.ticket(t, "ann"), "", nil, 401},
		{"session, nobody", "/v1/session", "", nil, 401},
		{"session", "/v1/session", "ann", nil, 200},
		{"page, nobody", "/", "", nil, 200},
		{"page, rebinding", "/", "", []string{"Host", "evil.example"}, 421},
	} {
		if status, body := r.get(t, "GET", c.path, c.who, c.header...); status != c.want {
			t.Errorf("%s: %d %s; want %d", c.name, status, body, c.want)
		}
	}

	// A ticket of one replica opens one connection at the other; then the tenant decides.
	mine := other.dial(t, "?workflow_id=wf-blue&ticket="+r.ticket(t, "ann"))
	mine.course("wf-blue", 0, 1)
	theirs := other.dial(t, "?list=1&ticket="+r.ticket(t, "rob"))
	if rows := theirs.await("rows"); len(rows.Rows) > 0 {
		t.Errorf("another tenant is listed %v", rows.Rows)
	}
	theirs.send(`{"type":"subscribe","workflow_id":"wf-blue"}`)
	if f := theirs.next(); f.Type != "error" || f.Code != "not_found" {
		t.Errorf("another tenant subscribes and gets %+v", f)
	}
	all := r.dial(t, "?list=1&ticket="+r.ticket(t, "root"))
	if rows := all.await("rows"); len(rows.Rows) != 2 {
		t.Errorf("an operator is listed %v, want 2 rows", rows.Rows)
	}
}

// TestTicketIsGoodOnce: many try the same ticket at the same moment, at two replicas.
func TestTicketIsGoodOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.restrict(t)
	replicas := []*replica{s.replica(t), s.replica(t)}
	ticket := replicas[0].ticket(t, "ann")
	const tries = 20
	got := make(chan bool, tries)
	for i := range tries {
		go func() {
			conn, res, err := websocket.Dial(t.Context(), "ws://"+replicas[i%2].addr+"/ws?ticket="+ticket, nil)
			if err == nil {
				_ = conn.CloseNow()
			} else if res == nil || res.StatusCode != http.StatusUnauthorized {
				t.Errorf("refused with %v", err)
			}
			got <- err == nil
		}()
	}
	opened := 0
	for range tries {
		if <-got {
			opened++
		}
	}
	if opened != 1 {
		t.Errorf("one ticket opened %d connections", opened)
	}
}

// TestServerSentEvents follows a workflow over a reconnect, as EventSource does it.
func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.publish(t, "wf-1", 30)
	one, two := s.replica(t), s.replica(t)
	follow := func(r *replica, lastID string, upTo int64) (seqs []int64, ids []string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+r.addr+"/v1/workflows/wf-1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		if lastID != "" {
			req.Header.Set("Last-Event-ID", lastID)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
			t.Fatalf("%d, content type %q", res.StatusCode, kind)
		}
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				ids = append(ids, value)
			case "data":
				var f serverFrame
				if err := json.Unmarshal([]byte(value), &f); err != nil {
					t.Fatal(err)
				}
				if f.Type == "gap" || f.Type == "reset" {
					t.Fatalf("%+v", f)
				}
				if f.Type == "event" {
					seqs = append(seqs, f.Seq)
				}
				if f.Seq >= upTo {
					return seqs, ids
				}
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return nil, nil
	}
	run := func(from, to int64) (out []int64) {
		for n := from; n <= to; n++ {
			out = append(out, n)
		}
		return out
	}
	seqs, ids := follow(one, "", 20)
	if diff := cmp.Diff(run(1, 20), seqs); diff != "" {
		t.Error(diff)
	}
	var publishing sync.WaitGroup
	defer publishing.Wait()
	publishing.Go(func() { s.publish(t, "wf-1", 30) })
	seqs, _ = follow(two, ids[len(ids)-1], 60)
	if diff := cmp.Diff(run(21, 60), seqs); diff != "" {
		t.Error("after coming back to the other replica:", diff)
	}
	for path, want := range map[string]int{"?since=-1": 400, "?since=x": 400} {
		status, body := one.get(t, "GET", "/v1/workflows/wf-1/events"+path, "")
		var problem struct{ Detail string } // RFC 9457
		if err := json.Unmarshal([]byte(body), &problem); err != nil || status != want || !strings.Contains(problem.Detail, "since") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// TestLeavingIsAnnounced: a replica that stops tells its clients when to come back, spread over time, and
// one that never reads does not hold it up.
func TestLeavingIsAnnounced(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.replica(t)
	const clients = 8
	var all []*client
	for range clients {
		all = append(all, r.dial(t, ""))
	}
	deaf, _, err := websocket.Dial(t.Context(), "ws://"+r.addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = deaf.CloseNow() })
	begun := time.Now()
	go r.stop()
	pauses := map[int64]bool{}
	for _, c := range all {
		f := c.next()
		if f.Type != "leaving" || f.AfterMS < 0 || f.AfterMS > 3000 {
			t.Errorf("%+v, want leaving", f)
		}
		pauses[f.AfterMS] = true
		if _, err := c.read(); websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("ended with %v, want 1001", err)
		}
	}
	if len(pauses) < clients/2 {
		t.Errorf("%d clients were told only %d different pauses", clients, len(pauses))
	}
	r.stop()
	if took := time.Since(begun); took > drainClients+3*time.Second {
		t.Errorf("the replica took %s to stop", took)
	}
}
