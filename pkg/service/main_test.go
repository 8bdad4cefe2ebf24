package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests run the shell as a process of its own: this test binary again, with the variable below
// naming what its run does.
const behaviour = "SERVICE_TEST_BEHAVIOUR"

// SharedConfig is embedded, as settings that several services have in common are.
type SharedConfig struct {
	RedisURL string `envconfig:"REDIS_URL" default:"redis://127.0.0.1:6379" desc:"the Redis server"`
}

type testConfig struct {
	SharedConfig
	Batch   int           `envconfig:"BATCH_SIZE" default:"500" unit:"rows" desc:"most rows in one transaction; a larger batch is faster and holds its entries longer"`
	Wait    time.Duration `envconfig:"BATCH_WAIT" default:"20ms" desc:"longest wait for a batch to fill"`
	Strict  bool          `envconfig:"STRICT" default:"true" desc:"refuse servers that may lose data"`
	Streams []string      `envconfig:"STREAMS" desc:"what to read"`
	Nested  struct {
		Depth uint8 `envconfig:"DEPTH" default:"3" desc:"levels"`
	} `envconfig:"TREE"`
}

func (c *testConfig) Validate() error {
	if c.Batch < 1 {
		return errors.New("BATCH_SIZE must be 1 or more")
	}
	return nil
}

func TestMain(m *testing.M) {
	run := map[string]func(context.Context, testConfig, *Runtime) error{
		"drain": func(ctx context.Context, _ testConfig, rt *Runtime) error {
			rt.Ready("redis", func(context.Context) error { return nil })
			<-ctx.Done()
			rt.Log.Info().Msg("drained")
			return ctx.Err()
		},
		"hang": func(ctx context.Context, _ testConfig, rt *Runtime) error {
			rt.Ready("redis", func(context.Context) error { return nil })
			<-ctx.Done()
			select {}
		},
		"fail": func(context.Context, testConfig, *Runtime) error { return errors.New("the sky fell") },
	}[os.Getenv(behaviour)]
	if run != nil {
		Main(Spec{Name: "test-service", About: "does what its test wants", Ops: "127.0.0.1:0"}, run)
	}
	os.Exit(m.Run())
}

// process is a running shell; its log is read line by line.
type process struct {
	*exec.Cmd
	stdout bytes.Buffer

	mu    sync.Mutex
	log   []string
	ended chan struct{}
}

func start(t *testing.T, behave string, env []string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...), ended: make(chan struct{})}
	p.Env = append(append(os.Environ(), behaviour+"="+behave), env...)
	p.Stdout = &p.stdout
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		all := make([]byte, 0, 4096)
		buf := make([]byte, 4096)
		for {
			n, err := stderr.Read(buf)
			all = append(all, buf[:n]...)
			p.mu.Lock()
			p.log = strings.Split(string(all), "\n")
			p.mu.Unlock()
			if err != nil {
				_ = p.Wait() // the code is read from ProcessState
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // has usually ended
		<-p.ended
	})
	return p
}

func (p *process) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log
}

// find waits for a log line with this message and returns its fields.
func (p *process) find(t *testing.T, message string) map[string]any {
	t.Helper()
	var found map[string]any
	eventually(t, func() bool {
		for _, line := range p.lines() {
			fields := map[string]any{}
			if json.Unmarshal([]byte(line), &fields) == nil && fields["message"] == message {
				found = fields
				return true
			}
		}
		return false
	}, func() string { return "log line " + message + " in\n" + strings.Join(p.lines(), "\n") })
	return found
}

// exit waits for the end and checks the code; it returns everything written to stderr.
func (p *process) exit(t *testing.T, want int) string {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the process does not end")
	}
	out := strings.Join(p.lines(), "\n")
	if got := p.ProcessState.ExitCode(); got != want {
		t.Fatalf("exit code %d, want %d; stderr:\n%s", got, want, out)
	}
	return out
}

func eventually(t *testing.T, ok func() bool, what func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for " + what())
		}
		<-tick.C
	}
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestSignalDrainsAndExits0(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			p := start(t, "drain", nil)
			ops := "http://" + p.find(t, "listening")["addr"].(string)
			eventually(t, func() bool { code, _ := get(t, ops+"/readyz"); return code == 200 }, func() string { return "readiness" })
			if code, _ := get(t, ops+"/livez"); code != 200 {
				t.Errorf("livez answers %d", code)
			}
			_, metrics := get(t, ops+"/metrics")
			contains(t, metrics, `agentbus_build_info{`, `service="test-service"`, "go_goroutines", "process_open_fds")
			if err := p.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			p.exit(t, 0)
			p.find(t, "drained")
			line := p.find(t, "stopped")
			if _, err := time.Parse(time.RFC3339Nano, line["time"].(string)); err != nil || line["service"] != "test-service" {
				t.Errorf("log line %v, time: %v", line, err)
			}
		})
	}
}

func TestGraceIsOverExits1(t *testing.T) {
	t.Parallel()
	p := start(t, "hang", []string{"SHUTDOWN_GRACE=2s"})
	ops := "http://" + p.find(t, "listening")["addr"].(string)
	eventually(t, func() bool { code, _ := get(t, ops+"/readyz"); return code == 200 }, func() string { return "readiness" })
	_ = p.Process.Signal(syscall.SIGTERM)
	p.find(t, "draining")
	eventually(t, func() bool {
		code, body := get(t, ops+"/readyz")
		return code == 503 && strings.Contains(body, "draining")
	}, func() string { return "a 503 during the drain" })
	if code, _ := get(t, ops+"/livez"); code != 200 {
		t.Errorf("livez answers %d during the drain", code)
	}
	contains(t, p.exit(t, 1), "the drain took longer than SHUTDOWN_GRACE=2s")
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, "hang", nil)
	p.find(t, "listening")
	began := time.Now()
	_ = p.Process.Signal(syscall.SIGTERM)
	p.find(t, "draining")
	// Those that come right behind the first are the same request.
	eventually(t, func() bool {
		_ = p.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	}, func() string { return "the exit" })
	took := time.Since(began)
	contains(t, p.exit(t, 1), "second signal")
	if took < sameRequest || took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestRunErrorExits1(t *testing.T) {
	t.Parallel()
	p := start(t, "fail", nil)
	contains(t, p.exit(t, 1), "the sky fell")
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := start(t, "drain", []string{"OPS_ADDR=" + l.Addr().String()})
	contains(t, p.exit(t, 1), "OPS_ADDR="+l.Addr().String(), "taken", "set OPS_ADDR")
}

func TestArguments(t *testing.T) {
	t.Parallel()
	p := start(t, "drain", nil, "--help")
	p.exit(t, 0)
	contains(t, p.stdout.String(),
		"test-service does what its test wants",
		"OPS_ADDR", "127.0.0.1:0", "LOG_LEVEL", "info", "SHUTDOWN_GRACE", "25s",
		"REDIS_URL", "redis://127.0.0.1:6379", "the Redis server",
		"BATCH_SIZE", "rows", "BATCH_WAIT", "duration", "20ms", "STRICT", "true|false", "STREAMS", "string,...", "TREE_DEPTH")

	p = start(t, "drain", nil, "--version")
	p.exit(t, 0)
	contains(t, p.stdout.String(), "test-service ")

	p = start(t, "drain", nil, "--port", "80")
	contains(t, p.exit(t, 2), "--port", "--help", "environment")
}

func TestBadConfigurationExits2(t *testing.T) {
	t.Parallel()
	for setting, parts := range map[string][]string{
		"BATCH_SIZE=many":    {`BATCH_SIZE="many"`, "whole number"},
		"BATCH_SIZE=0":       {"BATCH_SIZE must be 1 or more"},
		"BATCH_WAIT=20":      {`BATCH_WAIT="20"`, "unit", "500ms"},
		"STRICT=perhaps":     {`STRICT="perhaps"`, "true or false"},
		"LOG_LEVEL=loud":     {`LOG_LEVEL="loud"`, "trace, debug, info, warn or error"},
		"SHUTDOWN_GRACE=-1s": {`SHUTDOWN_GRACE="-1s"`, "longer than 0s"},
		"TREE_DEPTH=300":     {`TREE_DEPTH="300"`, "uint8"},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			out := start(t, "drain", []string{setting}).exit(t, 2)
			contains(t, out, append(parts, "test-service --help")...)
			if strings.Contains(out, "goroutine") {
				t.Errorf("a stack trace:\n%s", out)
			}
		})
	}
}
