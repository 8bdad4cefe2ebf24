package browser

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"agentbus/deploy/localstack"
)

// programs is the folder of binaries, shared the stack of most tests and chromium what their tabs belong
// to: TestMain and the tests have no other place to hand them over.
var (
	programs string
	shared   *localstack.Stack
	chromium context.Context
)

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "browser:", err)
			code = 1
		}
	}
	dir, err := os.MkdirTemp("", "agentbus-browser-")
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
	shared, err = start(ctx, filepath.Join(dir, "stack"), nil)
	if err != nil {
		fail(err)
		return code
	}
	defer func() { fail(shared.Stop(ctx)) }()
	var stop func()
	if chromium, stop, err = startChromium(ctx, filepath.Join(dir, "chromium")); err != nil {
		fail(err)
		return code
	}
	defer stop()
	return m.Run()
}

// start starts a stack whose page and coordinator keep their addresses when they are started again, as
// they do behind a load balancer: the page comes back to where it was.
func start(ctx context.Context, dir string, all map[string]string) (*localstack.Stack, error) {
	env := map[string]map[string]string{"": all}
	for _, service := range []string{"websocket-manager", "coordinator-agent"} {
		addr, err := freeAddress()
		if err != nil {
			return nil, err
		}
		env[service] = map[string]string{"HTTP_ADDR": addr}
	}
	env["websocket-manager"]["COORDINATOR_URL"] = "http://" + env["coordinator-agent"]["HTTP_ADDR"]
	return localstack.Start(ctx, localstack.Options{Dir: dir, Bin: programs, FreePorts: true, Env: env})
}

// freeAddress lies below the ports that the kernel gives away (see pkg/devserver), so that nobody takes
// it while its owner is away.
func freeAddress() (string, error) {
	for port := 18100 + os.Getpid()%1500; port < 20_000; port++ {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if taken[addr] {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		taken[addr] = true
		return addr, l.Close()
	}
	return "", fmt.Errorf("no port is free between 18100 and 20000")
}

// taken are the addresses given out.
var taken = map[string]bool{}

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
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", dir + "/"}, services...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
