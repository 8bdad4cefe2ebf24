package service

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// defaultGrace is SHUTDOWN_GRACE's default: under the 30 s an orchestrator waits before it kills.
const defaultGrace = 25 * time.Second

// Runtime is what the shell hands to run. All methods may be called from any goroutine.
type Runtime struct {
	Log     zerolog.Logger
	Metrics *prometheus.Registry

	grace    time.Duration
	draining atomic.Bool

	mu     sync.Mutex
	checks map[string]func(context.Context) error
	addrs  map[string]string
}

// NewRuntime makes a Runtime without a shell around it, for calling run directly, as tests do.
// A nil registry gets a new one.
func NewRuntime(log zerolog.Logger, registry *prometheus.Registry) *Runtime {
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	return &Runtime{
		Log:     log,
		Metrics: registry,
		grace:   defaultGrace,
		checks:  map[string]func(context.Context) error{},
		addrs:   map[string]string{},
	}
}

// Ready registers a readiness check under a short name such as "redis"; nil means ready. /readyz runs
// all checks at once on each request and gives each 2 s. The first registration ends the state
// "starting". Registering a name again replaces its check.
func (rt *Runtime) Ready(name string, check func(context.Context) error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.checks[name] = check
}

// Addr is the address that Serve listens on for this setting, "" until it does. With port 0 in the
// setting this is how a test learns the port.
func (rt *Runtime) Addr(setting string) string {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.addrs[setting]
}
