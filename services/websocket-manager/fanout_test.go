package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"agentbus/pkg/access"
	"agentbus/pkg/events"
	"agentbus/services/websocket-manager/door"
)

// TestEveryClientHasEveryEventOnce: two replicas, 200 clients, every other one of which leaves again and
// again and comes back to either replica, while 1,000 events a second of 20 workflows are published.
func TestEveryClientHasEveryEventOnce(t *testing.T) {
	const clients, workflows, perSecond, each = 200, 20, 1000, 250 // five seconds of events
	s := newSystem(t)
	s.cfg.MaxPerAddr, s.cfg.MaxClients, s.cfg.Entries = clients, clients, each
	replicas := []*replica{s.replica(t), s.replica(t)}

	var following sync.WaitGroup
	var reconnects sync.Map
	for i := range clients {
		following.Go(func() {
			n, err := follow(t.Context(), replicas, fmt.Sprint("wf-", i%workflows), each, i%2 == 1)
			if err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			reconnects.Store(i, n)
		})
	}
	tick := time.NewTicker(time.Second * workflows / perSecond) // an event of each workflow
	defer tick.Stop()
	for n := range each {
		<-tick.C
		batch := make([]events.Event, workflows)
		for w := range batch {
			var err error
			batch[w], err = events.New(events.WorkflowProgressed, fmt.Sprint("wf-", w), "tester", &events.WorkflowProgressedData{Percent: n % 100, Stage: events.Audit})
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.bus.Publish(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
	}
	following.Wait()
	came := 0
	reconnects.Range(func(_, n any) bool { came += n.(int); return true })
	t.Logf("%d events, %d clients, who came back %d times", workflows*each, clients, came)
	if came < clients/2 {
		t.Errorf("the clients came back %d times only", came)
	}
}

// follow reads a workflow up to its last event and returns an error unless each number comes once and in
// order. A restless client breaks its connection after some events, without a close frame.
func follow(ctx context.Context, replicas []*replica, workflow string, last int64, restless bool) (reconnects int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for at := int64(0); ; reconnects++ {
		upTo := last
		if restless {
			upTo = min(last, at+1+rand.Int64N(60))
		}
		r := replicas[rand.IntN(len(replicas))]
		conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s/ws?workflow_id=%s&since=%d", r.addr, workflow, at), nil)
		if err != nil {
			return reconnects, err
		}
		for at < upTo {
			_, raw, err := conn.Read(ctx)
			if err != nil {
				return reconnects, err
			}
			var f serverFrame
			if err := json.Unmarshal(raw, &f); err != nil {
				return reconnects, err
			}
			switch {
			case f.Type == "gap" || f.Type == "error" || f.Reset:
				return reconnects, fmt.Errorf("after %d came %+v", at, f)
			case f.Type == "event" && f.Seq != at+1:
				return reconnects, fmt.Errorf("after %d came %d", at, f.Seq)
			case f.Type == "event":
				at = f.Seq
			}
		}
		_ = conn.CloseNow()
		if at == last {
			return reconnects, nil
		}
	}
}

// TestExpiredTokenEndsTheConnection: a connection does not outlive the token it began with.
func TestExpiredTokenEndsTheConnection(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.restrict(t)
	r := s.replica(t)
	ticket, err := door.New(s.bus, nil, nil).Ticket(t.Context(), access.Principal{Subject: "ann", Tenant: "blue", Expires: time.Now().Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	c := r.dial(t, "?ticket="+ticket)
	if _, err := c.read(); websocket.CloseStatus(err) != 4401 {
		t.Errorf("ended with %v, want 4401", err)
	}
}
