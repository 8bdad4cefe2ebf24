package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/service"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// lines are what the service logs.
type lines chan []byte

func (l lines) Write(p []byte) (int, error) {
	l <- bytes.Clone(p)
	return len(p), nil
}

func TestEventIsHandled(t *testing.T) {
	t.Parallel()
	cfg := Config{Config: bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t)}}
	b, err := bus.Open(t.Context(), cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()

	logged, ended := make(lines, 1000), make(chan error, 1) // more lines than one event makes
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { ended <- run(ctx, cfg, service.NewRuntime(zerolog.New(logged), nil)) }()

	e, err := events.New(events.WorkflowStarted, "wf-1", "tester", &events.WorkflowStartedData{Stage: events.Audit})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	late := time.After(20 * time.Second)
	for handled := false; !handled; {
		select {
		case line := <-logged:
			handled = bytes.Contains(line, []byte(e.ID)) && bytes.Contains(line, []byte(`"message":"handled"`))
		case err := <-ended:
			t.Fatalf("run ended with %v", err)
		case <-late:
			t.Fatal("the event was not handled")
		}
	}
	cancel()
	if err := <-ended; err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}
