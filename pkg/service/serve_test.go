package service

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rs/zerolog"
)

func TestServeFinishesRequestsInHand(t *testing.T) {
	t.Parallel()
	rt := NewRuntime(zerolog.New(io.Discard), nil)
	entered, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if err := r.Context().Err(); err != nil {
			t.Errorf("the request's context ended with the server's: %v", err)
		}
		_, _ = io.WriteString(w, "whole") // seen by the client below
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- rt.Serve(ctx, "HTTP_ADDR", "127.0.0.1:0", handler) }()
	eventually(t, func() bool { return rt.Addr("HTTP_ADDR") != "" }, func() string { return "the address" })

	body := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + rt.Addr("HTTP_ADDR"))
		if err != nil {
			body <- err.Error()
			return
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		body <- string(text)
	}()
	<-entered
	cancel()
	close(release)
	if got := <-body; got != "whole" {
		t.Errorf("the client got %q", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestServeNamesTheSetting(t *testing.T) {
	t.Parallel()
	rt := NewRuntime(zerolog.New(io.Discard), nil)
	err := rt.Serve(t.Context(), "HTTP_ADDR", "nowhere", http.NotFoundHandler())
	if err == nil {
		t.Fatal("no error")
	}
	contains(t, err.Error(), "HTTP_ADDR=nowhere", "host:port")
}

func TestReadyz(t *testing.T) {
	t.Parallel()
	rt := NewRuntime(zerolog.New(io.Discard), nil)
	probe := func(want int) string {
		t.Helper()
		w := httptest.NewRecorder()
		rt.opsHandler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != want {
			t.Errorf("status %d, want %d: %s", w.Code, want, w.Body)
		}
		return w.Body.String()
	}
	contains(t, probe(503), `"ready":false`, "starting")

	var down error
	rt.Ready("redis", func(context.Context) error { return nil })
	rt.Ready("postgres", func(context.Context) error { return down })
	contains(t, probe(200), `{"ready":true}`)

	down = errors.New("connection refused")
	contains(t, probe(503), `"failing":{"postgres":"connection refused"}`)

	down = nil
	rt.draining.Store(true)
	contains(t, probe(503), "draining")
}

func TestWithoutPassword(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"postgres://u:p@db/x":  "postgres://***@db/x",
		"postgres://u:p@db:x/": "postgres://***@db:x/",
		"redis://h:1":          "redis://h:1",
		"a@b":                  "a@b",
	} {
		if got := withoutPassword(value); got != want {
			t.Errorf("%q became %q, want %q", value, got, want)
		}
	}
}
