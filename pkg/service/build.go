package service

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// version is set when linking: -ldflags "-X agentbus/pkg/service.version=v1.2.3".
var version string

// buildVersion is the linked version, else the commit the toolchain has recorded, else "devel".
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "devel"
}

// registerBuild adds what every process shows: its build, the Go runtime, the process.
func registerBuild(registry *prometheus.Registry, service string) {
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	promauto.With(registry).NewGaugeVec(prometheus.GaugeOpts{
		Name: "agentbus_build_info",
		Help: "Always 1; the labels say which build of which service this is.",
	}, []string{"service", "version", "goversion"}).WithLabelValues(service, buildVersion(), runtime.Version()).Set(1)
}
