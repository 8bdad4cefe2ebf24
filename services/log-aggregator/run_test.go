package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/service"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// screen is a stdout that can be read while it is written.
type screen struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(p)
}

// lines by event id; each must stand there once.
func (s *screen) lines(t *testing.T) map[string]line {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]line{}
	for raw := range bytes.Lines(s.Bytes()) {
		var l line
		if err := json.Unmarshal(raw, &l); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if _, twice := out[l.EventID]; twice {
			t.Errorf("event %s stands there twice", l.EventID)
		}
		out[l.EventID] = l
	}
	return out
}

func TestTwoReplicasLogEachEventOnce(t *testing.T) {
	t.Parallel()
	cfg := Config{Config: bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t)}, Stdout: true, FileMaxMB: 10, RedactKeys: []string{"token"}}
	b, err := bus.Open(t.Context(), cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()

	var out screen
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := aggregate(ctx, cfg, service.NewRuntime(zerolog.Nop(), nil), &out); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	defer wg.Wait()
	defer cancel()

	foreign := uuid.NewString()
	if err := b.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: b.Names().Stream(events.WorkflowStarted, 0), Values: []string{"data",
		fmt.Sprintf(`{"id":%q,"type":"WORKFLOW_STARTED","workflow_id":"by-hand","timestamp":"2026-01-02T03:04:05Z","data":{"stage":"audit","token":"abc"},"source_agent":"python"}`, foreign)}}).Err(); err != nil {
		t.Fatal(err)
	}
	const workflows, each = 10, 20
	for w := range workflows {
		for i := range each {
			e, err := events.New(events.WorkflowProgressed, fmt.Sprintf("wf-%d", w), "tester", &events.WorkflowProgressedData{Percent: i, Stage: events.Audit})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Publish(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	servertest.Eventually(t, 20*time.Second, func() error {
		if n := len(out.lines(t)); n != workflows*each+1 {
			return fmt.Errorf("%d lines, want %d", n, workflows*each+1)
		}
		return nil
	})
	l := out.lines(t)[foreign]
	if l.Seq != 1 || l.Type != events.WorkflowStarted || string(l.Data) != `{"stage":"audit","token":"[REDACTED]"}` {
		t.Errorf("the foreign event's line is %+v", l)
	}
}
