package service

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/pprof"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout bounds one readiness check; probes give up after a second or a few.
const checkTimeout = 2 * time.Second

// readiness is the body of /readyz.
type readiness struct {
	Ready   bool              `json:"ready"`
	Failing map[string]string `json:"failing,omitempty"` // name of the check -> why
}

func (rt *Runtime) opsHandler(profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		state := rt.readiness(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if !state.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(state) // the prober has gone away
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(rt.Metrics, promhttp.HandlerOpts{Registry: rt.Metrics}))
	if profiles {
		runtime.SetMutexProfileFraction(100) // of 100 waits for a mutex one is noted
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
	return mux
}

// readiness runs all checks at once and collects those that fail.
func (rt *Runtime) readiness(ctx context.Context) readiness {
	rt.mu.Lock()
	checks := maps.Clone(rt.checks)
	rt.mu.Unlock()

	failing := map[string]string{}
	switch {
	case rt.draining.Load():
		failing["shutdown"] = "draining"
	case len(checks) == 0:
		failing["startup"] = "starting"
	default:
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		var (
			mu sync.Mutex
			wg sync.WaitGroup
		)
		for name, check := range checks {
			wg.Go(func() {
				if err := check(ctx); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failing[name] = err.Error()
				}
			})
		}
		wg.Wait()
	}
	return readiness{Ready: len(failing) == 0, Failing: failing}
}
