package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"agentbus/deploy/localstack"
)

// programs is the folder of binaries, and shared the stack of most tests: TestMain and the tests have
// no other place to hand them over.
var (
	programs string
	shared   *localstack.Stack
)

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}
	dir, err := os.MkdirTemp("", "agentbus-e2e-")
	if err != nil {
		fail(err)
		return code
	}
	defer func() { fail(localstack.Remove(dir)) }()
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL's user must be able to enter
		fail(err)
		return code
	}
	if programs = os.Getenv("AGENTBUS_BIN"); programs == "" {
		programs = filepath.Join(dir, "bin")
		if err := build(ctx, programs); err != nil {
			fail(err)
			return code
		}
	}
	shared, err = localstack.Start(ctx, options(filepath.Join(dir, "stack")))
	if err != nil {
		fail(err)
		return code
	}
	defer func() { fail(shared.Stop(ctx)) }()
	return m.Run()
}

// options are for a stack that stands beside others.
func options(dir string) localstack.Options {
	return localstack.Options{Dir: dir, Bin: programs, FreePorts: true, Env: map[string]map[string]string{
		"coordinator-agent": {"ACCEPT_TIMEOUT": "1s"}, // an agent that is missing is told soon
	}}
}

// build makes the programs as `make build` does, so that the compiler's cache serves both.
func build(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	services, err := filepath.Glob(filepath.Join(root, "services", "*"))
	if err != nil {
		return err
	}
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", dir + "/", filepath.Join(root, "deploy", "agentctl")}, services...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
