package chaos

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
)

// shimmed is a Redis whose wall clock and disk the test moves and slows.
type shimmed struct {
	srv  *devserver.Server
	page *os.File
}

// startShimmed starts a redis-server with testdata/shim.c preloaded.
func startShimmed(t *testing.T, config map[string]string) *shimmed {
	t.Helper()
	return startShimmedOn(t, devserver.RedisOptions{Config: config})
}

func startShimmedOn(t *testing.T, o devserver.RedisOptions) *shimmed {
	t.Helper()
	dir := t.TempDir()
	library, page := filepath.Join(dir, "shim.so"), filepath.Join(dir, "shim.page")
	if out, err := exec.CommandContext(t.Context(), "cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, "testdata/shim.c").CombinedOutput(); err != nil {
		t.Fatalf("compile the shim: %v\n%s", err, out)
	}
	if err := os.WriteFile(page, make([]byte, 16), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Env = append(o.Env, "CHAOS_SHIM="+page, "LD_PRELOAD="+library)
	s := &shimmed{srv: servertest.OwnRedis(t, o)}
	var err error
	if s.page, err = os.OpenFile(page, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.page.Close() })
	return s
}

func (s *shimmed) write(t *testing.T, at int64, value int64) {
	t.Helper()
	if _, err := s.page.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(value)), 8*at); err != nil {
		t.Fatal(err)
	}
}

// shiftClock sets by how much the server's wall clock is off.
func (s *shimmed) shiftClock(t *testing.T, by time.Duration) {
	t.Helper()
	s.write(t, 0, int64(by/time.Second))
}

// slowSync makes each sync of the server's files take longer.
func (s *shimmed) slowSync(t *testing.T, by time.Duration) {
	t.Helper()
	s.write(t, 1, by.Milliseconds())
}
