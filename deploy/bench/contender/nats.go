package contender

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// NATS is a server in a process of its own, as Redis is one.
type NATS struct {
	URL string
	PID int
	cmd *exec.Cmd
}

// StartNATS runs this program again as a server that keeps its streams in dir.
func StartNATS(ctx context.Context, dir string) (*NATS, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "nats-server", dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("nats-server: %w", err), cmd.Process.Kill(), cmd.Wait())
	}
	return &NATS{URL: strings.TrimSpace(url), PID: cmd.Process.Pid, cmd: cmd}, nil
}

// Stop ends it.
func (n *NATS) Stop() error {
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return n.cmd.Wait()
}

// ServeNATS is what that process does until ctx ends: it prints its URL and serves.
func ServeNATS(ctx context.Context, dir string, out io.Writer) error {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return errors.New("nats-server: not ready after 10 s")
	}
	fmt.Fprintln(out, s.ClientURL())
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
