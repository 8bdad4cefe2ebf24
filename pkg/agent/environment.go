package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// passed are the variables a tool sees of the agent's own. Everything else, the
// URLs with passwords above all, stays with the agent; TOOL_ENV adds to the list.
var passed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"GOROOT", "GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB",
	"GOMAXPROCS", "GOAMD64", "GOARM64", "CGO_ENABLED", "CC",
}

// environment is the allowed part of the agent's, for a task in workspace.
func environment(extra []string, workspace, mark string) []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(passed, name) || slices.Contains(extra, name) {
			env = append(env, entry)
		}
	}
	return append(env, "TMPDIR="+filepath.Join(workspace, tempDir), markName+"="+mark)
}

// GoEnvironment makes `go` work on a project as if it were alone: no workspace
// above it, no version control, no other toolchain, and nothing from the network
// unless the agent's own GOPROXY allows it.
func GoEnvironment() []string {
	env := []string{"GOFLAGS=-buildvcs=false", "GOWORK=off", "GOTOOLCHAIN=local", "GO111MODULE=on"}
	if os.Getenv("GOPROXY") == "" {
		env = append(env, "GOPROXY=off")
	}
	if os.Getenv("CGO_ENABLED") == "" {
		env = append(env, "CGO_ENABLED=0") // static, and no C compiler is needed
	}
	if os.Getenv("HOME") == "" && os.Getenv("GOCACHE") == "" {
		env = append(env, "GOCACHE="+filepath.Join(os.TempDir(), "agentbus-go-build"), "GOPATH="+filepath.Join(os.TempDir(), "agentbus-go"))
	}
	return env
}
