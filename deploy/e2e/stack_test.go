package e2e

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentbus/deploy/localstack"
)

// stop ends a test's stack and removes its folder.
func stop(t *testing.T, s *localstack.Stack, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
	if left := inside(dir); len(left) > 0 {
		t.Errorf("still running after the stop: %v", left)
	}
	if err := localstack.Remove(dir); err != nil {
		t.Error(err)
	}
}

// inside lists the processes that work in the folder or whose program lies there.
func inside(dir string) (left []string) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd") // the pattern is well-formed
	for _, link := range links {
		for _, name := range []string{link, filepath.Join(filepath.Dir(link), "exe")} {
			if target, err := os.Readlink(name); err == nil && strings.HasPrefix(target, dir+"/") {
				left = append(left, name+" -> "+target)
			}
		}
	}
	return left
}

// TestTakenPortIsNamed: the start fails, says what to change, and leaves nothing running.
func TestTakenPortIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := options(filepath.Join(t.TempDir(), "stack"))
	o.Env = map[string]map[string]string{"db-writer": {"OPS_ADDR": taken.Addr().String()}}
	s, err := localstack.Start(t.Context(), o)
	if err == nil {
		stop(t, s, o.Dir)
		t.Fatal("the stack started on a port that is taken")
	}
	for _, part := range []string{"db-writer-1", taken.Addr().String(), "DB_WRITER_OPS_ADDR"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than the cause is told: %v", err)
	}
	if left := inside(o.Dir); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
	if err := localstack.Remove(o.Dir); err != nil {
		t.Error(err)
	}
}

// TestOneStackPerFolder: the second is refused at once, and the first does not notice.
func TestOneStackPerFolder(t *testing.T) {
	_, err := localstack.Start(t.Context(), options(shared.Dir()))
	if err == nil || !strings.Contains(err.Error(), "another stack runs") {
		t.Errorf("a second stack in the same folder: %v", err)
	}
}
