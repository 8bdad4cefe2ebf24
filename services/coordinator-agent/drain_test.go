package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"agentbus/pkg/agent/artifact"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/service"
)

// TestADrainThatCutsRequestsOffFails: a client that reads nothing outlasts the drain, which takes half of
// SHUTDOWN_GRACE; the process must not end as if all had been done.
func TestADrainThatCutsRequestsOffFails(t *testing.T) {
	t.Parallel()
	base := bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t)}
	cfg := Config{Config: base, HTTPAddr: "127.0.0.1:0", ArtifactURL: t.TempDir(), AcceptTimeout: time.Second, QueueTimeout: time.Hour,
		SilentTimeout: 10 * time.Second, StageTimeout: time.Minute, StageAttempts: 2, KeepFinished: time.Hour}
	rt := service.NewRuntime(zerolog.Nop(), nil)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- run(ctx, cfg, rt) }()
	servertest.Eventually(t, 5*time.Second, func() error {
		if rt.Addr("HTTP_ADDR") == "" {
			return errors.New("not listening yet")
		}
		return nil
	})
	addr := rt.Addr("HTTP_ADDR")
	b, err := bus.Open(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	s := &system{t: t, bus: b, urls: []string{"http://" + addr}}
	store, err := artifact.Open(t.Context(), cfg.ArtifactURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	large, err := store.Save(t.Context(), events.Artifact{Name: "large"}, bytes.NewReader(make([]byte, 64<<20))) // more than sockets hold
	if err != nil {
		t.Fatal(err)
	}
	s.agents(func(*events.A2ARequestData) *events.A2AResponseData {
		return &events.A2AResponseData{Status: events.A2ASucceeded, Artifacts: []events.Artifact{large}}
	})
	_, made := s.do(0, "POST", "/v1/workflows", `{"name":"greeter"}`)
	id := made["id"].(string)
	s.await(id, "completed")

	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/workflows/%s/artifacts/%s HTTP/1.1\r\nHost: %s\r\n\r\n", id, large.SHA256, addr)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != 200 { // its handler is at work; the body is not read
		t.Fatalf("%v, error %v", res, err)
	}
	defer res.Body.Close()
	stop()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "requests cut off") {
			t.Errorf("run ended with %v; want that requests were cut off", err)
		}
	case <-time.After(25 * time.Second):
		t.Error("run did not end within SHUTDOWN_GRACE")
	}
}
