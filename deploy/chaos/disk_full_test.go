package chaos

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
)

// TestRedisDiskFull: the append-only file cannot be written. Redis refuses all
// writes, reading included; everybody waits, and goes on when there is room.
func TestRedisDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs a small file system of its own, which only root can mount")
	}
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("needs a small file system of its own: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	srv := servertest.OwnRedis(t, devserver.RedisOptions{Dir: dir, Config: map[string]string{"save": "", "auto-aof-rewrite-percentage": "0"}})
	s := startQuartetOn(t, srv)
	ld := startLoad(t, s.l, s.producer, 300)
	servertest.Eventually(t, 20*time.Second, ld.reaches(300))

	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	zeros, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeros); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk ended with %v", err)
	}
	_, _ = f.Close(), zeros.Close() // what counts is that the room is gone
	admin := client(t, srv.URL)
	servertest.Eventually(t, 20*time.Second, func() error {
		err := admin.Set(t.Context(), "probe", "x", 0).Err()
		if err == nil {
			return errors.New("Redis still takes writes")
		}
		return nil
	})
	refused := ld.sent.Load()
	hold(t, 8*time.Second)
	if n := ld.sent.Load() - refused; n > publishers {
		t.Errorf("%d publishes ended while the disk was full; want them to wait", n)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	servertest.Eventually(t, 30*time.Second, ld.reaches(refused+300))
	ld.stop()
	recovery := recovered(t, since, time.Minute, s.producer, bothGroups...)
	s.quiet(t, 1)
	if r := s.l.Report(); r.Unknown > 0 {
		t.Errorf("%d publishes ended without an outcome", r.Unknown)
	}
	balanced(t, "disk of the AOF full", 1, s.l, recovery)
}
