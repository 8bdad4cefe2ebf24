package bus_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
)

func TestAServerThatForgetsIsRefusedOnRequest(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{Config: map[string]string{"appendonly": "no", "maxmemory-policy": "allkeys-lru"}})
	bustest.Open(t, bus.Config{URL: srv.URL}) // warns
	begun := time.Now()
	_, err := bus.Open(t.Context(), bus.Config{URL: srv.URL, RequireDurable: true})
	if !errors.Is(err, bus.ErrServer) {
		t.Fatalf("got %v; want bus.ErrServer", err)
	}
	for _, setting := range []string{"appendonly yes", "noeviction"} {
		if !strings.Contains(err.Error(), setting) {
			t.Errorf("%v does not say %q", err, setting)
		}
	}
	if waited := time.Since(begun); waited > 5*time.Second {
		t.Errorf("it took %s to refuse; waiting cannot help", waited)
	}
}
