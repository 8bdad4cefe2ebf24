package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"agentbus/deploy/localstack"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
)

// endTimeout is for a workflow on a machine that is busy with others.
const endTimeout = 60 * time.Second

// awsKey is put together here, so that no scanner takes this file for a leak.
const awsKey = "AKIA" + "Q3EGRT5XWZ2MNP7L"

// plantedKey is a file with a finding in line 3.
var plantedKey = map[string]any{"config/keys.go": "package config\n\nconst key = \"" + awsKey + "\"\n"}

// slowTest is a file with a test that takes so many seconds and says so.
func slowTest(seconds int) map[string]any {
	return map[string]any{"slow_test.go": fmt.Sprintf("package main\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n\nfunc TestSlow(t *testing.T) { time.Sleep(%d * time.Second) }\n", seconds)}
}

// greeter are the parameters of a generation stage, with more files.
func greeter(name string, files map[string]any) map[string]any {
	p := map[string]any{"name": name}
	if files != nil {
		p["files"] = files
	}
	return p
}

// create starts a workflow as a program does and returns its id.
func create(t testing.TB, s *localstack.Stack, token, name string, generation map[string]any) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "stages": map[string]any{"generation": map[string]any{"parameters": generation}}})
	if err != nil {
		t.Fatal(err)
	}
	var w struct{ ID string }
	ask(t, http.MethodPost, s.URL("coordinator-agent", "HTTP_ADDR")+"/v1/workflows", token, body, &w)
	return w.ID
}

// awaitState waits until the workflow is in the state.
func awaitState(t testing.TB, s *localstack.Stack, id, state string) {
	t.Helper()
	servertest.Eventually(t, endTimeout, func() error {
		var w struct{ State, Reason string }
		ask(t, http.MethodGet, s.URL("coordinator-agent", "HTTP_ADDR")+"/v1/workflows/"+id, "", nil, &w)
		if w.State != state {
			return fmt.Errorf("%s is %s, %s", id, w.State, w.Reason)
		}
		return nil
	})
}

func cancel(t testing.TB, id string) {
	t.Helper()
	var w struct{ State string }
	ask(t, http.MethodPost, shared.URL("coordinator-agent", "HTTP_ADDR")+"/v1/workflows/"+id+"/cancel", "", []byte("{}"), &w)
}

func ask(t testing.TB, method, url, token string, body []byte, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s", method, url, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// pageOf is the address of the stack's page.
func pageOf(s *localstack.Stack) string { return s.URL("websocket-manager", "HTTP_ADDR") }

func openBus(t testing.TB, s *localstack.Stack) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), s.BusConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// newName is another one in each run.
func newName(prefix string) string { return prefix + "-" + uuid.NewString()[:6] }
