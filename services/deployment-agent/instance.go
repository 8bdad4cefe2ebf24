package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"agentbus/pkg/agent"
)

// instance is a running release, as process.json says. Only loopback is served.
type instance struct {
	agent.ProcessID
	Port  int             `json:"port"`
	Owner agent.ProcessID `json:"owner"` // the agent that supervises it
}

// stopGrace is how long a release may take to finish its requests.
const stopGrace = 5 * time.Second

func (i instance) url() string { return "http://127.0.0.1:" + strconv.Itoa(i.Port) }

// passed are the variables of the agent's own that a release sees.
var passed = []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// start runs the release in a session of its own, so that neither the end of the
// stage nor that of the agent's terminal ends it.
func (s *site) start(version string) (instance, error) {
	port, err := freePort()
	if err != nil {
		return instance{}, err
	}
	log, err := os.OpenFile(s.path(version, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return instance{}, err
	}
	defer log.Close()
	cmd := exec.Command(s.path(version, programFile))
	cmd.Dir = s.path(version, "")
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); slices.Contains(passed, name) {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env, "HOST=127.0.0.1", "PORT="+strconv.Itoa(port))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return instance{}, fmt.Errorf("start %s of %s: %w", version, s.service, err)
	}
	go func() { _ = cmd.Wait() }() // reaps it; ends with the release
	id, _ := agent.Identify(cmd.Process.Pid)
	self, _ := agent.Identify(os.Getpid())
	i := instance{ProcessID: id, Port: port, Owner: self}
	if err := writeJSON(s.path(version, processFile), i); err != nil {
		i.stop(context.Background())
		return instance{}, err
	}
	return i, nil
}

// freePort asks the kernel. Another process may take it before the release does,
// which then ends at once and fails its health check.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// instance is the version's process, if it runs.
func (s *site) instance(version string) (instance, bool) {
	var i instance
	if version == "" || readJSON(s.path(version, processFile), &i) != nil {
		return instance{}, false
	}
	return i, i.Alive()
}

// stop ends the release: SIGTERM, and SIGKILL to its whole group after 5 s or when
// ctx ends.
func (i instance) stop(ctx context.Context) {
	if !i.Alive() {
		return
	}
	_ = syscall.Kill(-i.PID, syscall.SIGTERM)
	grace := time.After(stopGrace)
	for i.Alive() {
		select {
		case <-time.After(10 * time.Millisecond):
			continue
		case <-grace:
		case <-ctx.Done():
		}
		break
	}
	_ = syscall.Kill(-i.PID, syscall.SIGKILL) // also what it left in its group
}

// lastLines is the end of the release's log, for reasons.
func (s *site) lastLines(version string, n int) string {
	f, err := os.Open(s.path(version, logFile))
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		_, _ = f.Seek(max(info.Size()-4096, 0), io.SeekStart)
	}
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(agent.Clean(string(data))), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], " | ")
}
