package localstack

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Folders of the stack, under Dir.
const (
	logsDir = "logs"
	workDir = "work"
)

// environment is what the process name, number n of the service, is started with. Later sources win.
func (s *Stack) environment(service, name string, n int) []string {
	env := map[string]string{
		"ARTIFACT_URL": filepath.Join(s.opts.Dir, "artifacts"),
		"DEPLOY_DIR":   filepath.Join(s.opts.Dir, "deploy"),
	}
	own := map[string]string{}
	prefix := Variable(service, "")
	for _, entry := range os.Environ() {
		key, value, _ := strings.Cut(entry, "=")
		switch {
		case key == "HTTP_ADDR" || key == "OPS_ADDR" || key == "BUS_MEMBER":
		case key == "LOG_LEVEL" && (value == "warn" || value == "error"):
		default:
			env[key] = value
		}
		if key, ok := strings.CutPrefix(key, prefix); ok {
			own[key] = value
		}
	}
	// Each has a folder of its own: a process that starts clears away what the one before it left.
	env["WORKSPACE_DIR"] = filepath.Join(s.opts.Dir, workDir, name)
	env["REDIS_URL"], env["DATABASE_URL"] = s.RedisURL, s.DatabaseURL
	env["BUS_MEMBER"] = name // a restarted process goes on with its own entries
	if n > 1 || s.opts.FreePorts {
		env["HTTP_ADDR"], env["OPS_ADDR"] = "127.0.0.1:0", "127.0.0.1:0"
	}
	for _, more := range []map[string]string{s.opts.Env[""], s.opts.Env[service], own} {
		for key, value := range more {
			if n > 1 && (key == "HTTP_ADDR" || key == "OPS_ADDR") {
				continue // replica 1 has it
			}
			env[key] = value
		}
	}
	list := make([]string, 0, len(env))
	for _, key := range slices.Sorted(maps.Keys(env)) {
		list = append(list, key+"="+env[key])
	}
	return list
}

// Variable is the name under which the stack's caller sets a variable of one service alone:
// DB_WRITER_OPS_ADDR for OPS_ADDR of db-writer.
func Variable(service, name string) string {
	return strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + "_" + name
}
