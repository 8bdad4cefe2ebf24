// Package service is the shell every agentbus process runs in: configuration from the environment,
// a logger, an ops HTTP server, signals, an ordered drain and an exit code that says what happened.
// It knows nothing of events, Redis or PostgreSQL.
//
// A service's main.go is one line, and its run function is what tests call:
//
//	func main() {
//		service.Main(service.Spec{
//			Name:  "db-writer",
//			About: "stores events as rows in PostgreSQL",
//			Ops:   "127.0.0.1:9082",
//		}, run)
//	}
//
//	func run(ctx context.Context, cfg Config, rt *service.Runtime) error {
//		// connect, register rt.Ready checks, work until ctx ends, drain, return
//	}
//
// # Configuration
//
// Config is the service's own struct with envconfig tags; `desc:"..."` is the text in --help and
// `unit:"bytes"` names the unit where the type does not. Embedded structs of other packages count as
// the service's own fields. If *Config has a method Validate() error, it is called after reading, for
// rules that a type cannot express; its error should name the variable and what would be right.
//
// The shell itself reads OPS_ADDR, LOG_LEVEL and SHUTDOWN_GRACE.
//
// # Life of a process
//
//	       flags, configuration       ops server listens       first Ready()
//	start ───────────┬──────────▶ starting ─────────────────────────▶ ready
//	                 │ bad                │ run returns an error        │ SIGTERM or SIGINT:
//	                 ▼                    ▼                             ▼ ctx is cancelled, /readyz is 503
//	              exit 2               exit 1 ◀── error, grace over, ── draining ── run returns ──▶ exit 0
//	                                              or a second signal
//
// Until the first call of Ready the process is "starting" and /readyz answers 503: register the checks
// after what must have happened before traffic, such as migrations. During the drain the ops server
// keeps answering, so that the last metrics can be scraped and liveness does not kill a process that is
// finishing its work. What stands in front of the service needs a moment to notice the 503: that pause
// belongs to the orchestrator (a preStop hook), not here.
//
// # Exit codes
//
//	0  the work was drained, or --help or --version was asked for
//	1  run failed, an address was taken, the drain outlived SHUTDOWN_GRACE, or a second signal came
//	2  unknown argument or a configuration value that is missing or wrong
//
// # Ops endpoints
//
//	/livez    200 as long as the process answers; it asks no dependency, on purpose: restarting a
//	          process does not repair its database
//	/readyz   200 {"ready":true}, or 503 with the names of the failing checks and why
//	/metrics  Prometheus text; includes the Go runtime, the process and agentbus_build_info
package service
