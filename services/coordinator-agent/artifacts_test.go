package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"agentbus/pkg/agent/artifact"
	"agentbus/pkg/events"
)

// delivered is a system with a completed workflow that left an artifact of so many bytes.
func delivered(t *testing.T, size int) (s *system, dir, id string, a events.Artifact) {
	t.Helper()
	dir = t.TempDir()
	s = startSystem(t, 1, func(c *Config) { c.ArtifactURL = dir })
	store, err := artifact.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if a, err = store.Save(t.Context(), events.Artifact{Name: "report"}, bytes.NewReader(bytes.Repeat([]byte("y"), size))); err != nil {
		t.Fatal(err)
	}
	s.agents(func(*events.A2ARequestData) *events.A2AResponseData {
		return &events.A2AResponseData{Status: events.A2ASucceeded, Artifacts: []events.Artifact{a}}
	})
	_, made := s.do(0, "POST", "/v1/workflows", `{"name":"greeter"}`)
	id = made["id"].(string)
	s.await(id, "completed")
	return s, dir, id, a
}

// TestAChangedArtifactNeverComesWhole: more than a server buffers, so that its beginning has gone out.
func TestAChangedArtifactNeverComesWhole(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	s, dir, id, a := delivered(t, size)
	get := func() (int, error) {
		res, err := http.Get(s.urls[0] + "/v1/workflows/" + id + "/artifacts/" + a.SHA256)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		return len(raw), err
	}
	if n, err := get(); n != size || err != nil {
		t.Fatalf("%d bytes, error %v; want all %d", n, err, size)
	}
	if err := os.WriteFile(filepath.Join(dir, "sha256", a.SHA256), bytes.Repeat([]byte("x"), size), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := get(); err == nil || n >= size {
		t.Errorf("%d changed bytes came, error %v; want fewer than %d and an error", n, err, size)
	}
}

func TestTheArtifactStoreIsAway(t *testing.T) {
	t.Parallel()
	s, dir, id, a := delivered(t, 10)
	if err := os.RemoveAll(filepath.Join(dir, "sha256")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sha256"), nil, 0o600); err != nil { // no folder: it cannot even be looked into
		t.Fatal(err)
	}
	if status, got := s.do(0, "GET", "/v1/workflows/"+id+"/artifacts/"+a.SHA256, ""); status != 503 {
		t.Errorf("%d %v; want 503", status, got)
	}
}

func TestArtifactFileName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"report.html": `attachment; filename=report.html`, "a b": `attachment; filename="a b"`, "../../etc/passwd": `attachment; filename=passwd`,
		`..\\evil.exe`: `attachment; filename=evil.exe`, "..": `attachment; filename=artifact`, "/": `attachment; filename=artifact`,
		"x\r\nSet-Cookie: y": `attachment; filename*=utf-8''x%0D%0ASet-Cookie%3A%20y`, "größe": `attachment; filename*=utf-8''gr%C3%B6%C3%9Fe`,
	} {
		if got := artifactHeaders(events.Artifact{Name: name})["Content-Disposition"]; got != want {
			t.Errorf("%q: %s; want %s", name, got, want)
		}
	}
}

// TestASlowClientGetsItsArtifact: an answer may take longer than the server's limit on one, while it moves.
func TestASlowClientGetsItsArtifact(t *testing.T) {
	t.Parallel()
	const limit, pieces = 300 * time.Millisecond, 8
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		out := patient{w, http.NewResponseController(w)}
		tick := time.NewTicker(limit / 3)
		defer tick.Stop()
		for range pieces {
			<-tick.C // the client's pace
			if _, err := out.Write(bytes.Repeat([]byte("y"), 64<<10)); err != nil {
				t.Error(err)
			}
		}
	}))
	server.Config.WriteTimeout = limit
	server.Start()
	t.Cleanup(server.Close)
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err != nil || n != pieces<<16 {
		t.Errorf("%d bytes came, error %v; want %d", n, err, pieces<<16)
	}
}
