//go:build cluster

package cluster

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"agentbus/deploy/agentctl/coordinator"
	"agentbus/pkg/events/bus"
)

// release is an installed chart as the tests reach it.
type release struct {
	name, namespace string
	full            string // the prefix of its objects
	token           string
	redis, database string
	coordinator     string // base URLs
	websocket       string
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func open(t *testing.T) *release {
	t.Helper()
	r := &release{name: env("RELEASE", "agentbus"), namespace: env("NAMESPACE", "agentbus")}
	r.full = r.name
	if !strings.Contains(r.name, "agentbus") {
		r.full += "-agentbus"
	}
	r.token = r.secret(t, "access", "operator-token")
	r.coordinator = "http://" + r.address(t, "coordinator-agent") + ":8080"
	r.websocket = "http://" + r.address(t, "websocket-manager") + ":8081"
	for _, store := range []string{"redis", "postgresql"} {
		url := strings.Replace(r.secret(t, store, "url"), r.full+"-"+store, r.address(t, store), 1)
		if store == "redis" {
			r.redis = url
		} else {
			r.database = url
		}
	}
	if _, _, err := r.client().List(t.Context(), coordinator.Query{Limit: 1}); err != nil {
		t.Fatalf("the coordinator at %s: %v (is the address in access.allowedHosts?)", r.coordinator, err)
	}
	return r
}

// kubectl runs a command in the release's namespace; the test fails with what it wrote when it fails.
func (r *release) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "kubectl", append([]string{"-n", r.namespace}, args...)...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// get decodes what kubectl get shows.
func (r *release) get(t *testing.T, into any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.kubectl(t, append([]string{"get", "-o", "json"}, args...)...)), into); err != nil {
		t.Fatal(err)
	}
}

func (r *release) secret(t *testing.T, name, key string) string {
	t.Helper()
	var secret struct{ Data map[string]string }
	r.get(t, &secret, "secret", r.full+"-"+name)
	value, err := base64.StdEncoding.DecodeString(secret.Data[key])
	if err != nil || len(value) == 0 {
		t.Fatalf("secret %s-%s has no %s", r.full, name, key)
	}
	return string(value)
}

func (r *release) address(t *testing.T, name string) string {
	t.Helper()
	return r.kubectl(t, "get", "service", r.full+"-"+name, "-o", "jsonpath={.spec.clusterIP}")
}

func (r *release) client() *coordinator.Client {
	return &coordinator.Client{Base: r.coordinator, Token: r.token}
}

// services are those of the checkout, in its order.
func services(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("../../services")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (r *release) selector(service string) string {
	return fmt.Sprintf("app.kubernetes.io/instance=%s,app.kubernetes.io/component=%s", r.name, service)
}

// replicas are how many pods the service's deployment wants, and how many of them are ready.
func (r *release) replicas(t *testing.T, service string) (wanted, ready int) {
	t.Helper()
	var d struct {
		Spec   struct{ Replicas int }
		Status struct{ ReadyReplicas int }
	}
	r.get(t, &d, "deployment", r.full+"-"+service)
	return d.Spec.Replicas, d.Status.ReadyReplicas
}

func (r *release) openBus(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{URL: r.redis, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (r *release) openDatabase(t *testing.T) *pgx.Conn {
	t.Helper()
	db, err := pgx.Connect(t.Context(), r.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.WithoutCancel(t.Context())) })
	return db
}

// eventually waits until met; the test fails when that takes longer than limit.
func eventually(t *testing.T, limit time.Duration, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(limit); !met(); {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("after %s still not: %s", limit, what)
		}
	}
}
