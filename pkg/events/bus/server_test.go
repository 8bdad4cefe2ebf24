package bus

import (
	"errors"
	"strings"
	"testing"
	"time"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
)

func TestAServerThatForgetsIsRefusedOnRequest(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{Config: map[string]string{"appendonly": "no", "maxmemory-policy": "allkeys-lru"}})
	open(t, Config{URL: srv.URL}) // warns
	begun := time.Now()
	_, err := Open(t.Context(), Config{URL: srv.URL, RequireDurable: true})
	if !errors.Is(err, ErrServer) {
		t.Fatalf("got %v; want ErrServer", err)
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
