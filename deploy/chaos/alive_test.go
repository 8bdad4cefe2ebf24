package chaos

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"agentbus/deploy/localstack"
)

// staysAlive starts a service on a Redis, as a process, and asks its liveness until
// the returned function is called, which fails the test unless the answer was
// always 200 and came at once.
func staysAlive(t *testing.T, redisURL string) (check func()) {
	t.Helper()
	service := "log-aggregator"
	stack := startStack(t, localstack.Options{RedisURL: redisURL, DatabaseURL: "postgres://unused", Replicas: map[string]int{service: 1}})
	p := stack.Process(service + "-1")
	ctx, stop := context.WithCancel(t.Context())
	asked := 0
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ; ctx.Err() == nil; <-tick.C {
			if status, err := livez(ctx, p); ctx.Err() == nil && (err != nil || status != http.StatusOK) {
				t.Errorf("the liveness of %s was answered with %d, %v", p.Name, status, err)
				return
			}
			asked++
		}
	})
	t.Cleanup(func() {
		stop()
		watching.Wait()
	})
	return func() {
		t.Helper()
		stop()
		watching.Wait()
		if asked < 10 || !p.Running() {
			t.Errorf("%s was asked %d times and runs: %v; want it asked all the time and running", p.Name, asked, p.Running())
		}
	}
}

func livez(ctx context.Context, p *localstack.Process) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second) // a kubelet's patience is 1 s on a machine that is not shared
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL("OPS_ADDR")+"/livez", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode, err
}
