package chaos

import (
	"context"
	"errors"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
)

// TestRedisDiskFull: the append-only file cannot be written. With appendfsync
// everysec Redis refuses all writes, reading by a group included; with always it
// ends, again after each start as long as there is no room. Everybody waits, and
// goes on when there is room; services stay alive.
//
// The disk is full for Redis' files alone, by a limit on their size: a write that
// goes over it is cut short, as on a full disk, and Redis answers "No space left on
// device". Anybody may set that, a small file system only root can mount.
func TestRedisDiskFull(t *testing.T) {
	t.Parallel()
	signal.Ignore(syscall.SIGXFSZ) // inherited: the write fails instead of ending the server
	for _, c := range []struct {
		policy string
		fault  func(t *testing.T, s *quartet, ld *load) (times int)
	}{{"everysec", refusedWithoutRoom}, {"always", endedWithoutRoom}} {
		t.Run(c.policy, func(t *testing.T) {
			t.Parallel()
			s := startQuartet(t, map[string]string{"appendfsync": c.policy, "save": "", "auto-aof-rewrite-percentage": "0"})
			alive := staysAlive(t, s.srv.URL)
			ld := startLoad(t, s.l, s.producer, 300)
			servertest.Eventually(t, 20*time.Second, ld.reaches(300))
			times := c.fault(t, s, ld)
			since := time.Now()
			servertest.Eventually(t, 30*time.Second, ld.reaches(ld.sent.Load()+300))
			ld.stop()
			recovery := recovered(t, since, time.Minute, s.producer, bothGroups...)
			alive()
			s.quiet(t, times)
			if r := s.l.Report(); r.Unknown > 0 {
				t.Errorf("%d publishes ended without an outcome", r.Unknown)
			}
			balanced(t, "disk of the AOF full, appendfsync "+c.policy, times, s.l, recovery)
		})
	}
}

// refusedWithoutRoom keeps the disk full for a while, in which nobody gets anything
// done, until there is room again.
func refusedWithoutRoom(t *testing.T, s *quartet, ld *load) (times int) {
	t.Helper()
	fillDisk(t, s.srv)
	admin := client(t, s.srv.URL)
	servertest.Eventually(t, 20*time.Second, func() error {
		err := admin.Set(t.Context(), "probe", "x", 0).Err()
		if err == nil {
			return errors.New("Redis still takes writes")
		}
		if !redis.HasErrorPrefix(err, "MISCONF") {
			t.Errorf("Redis refuses a write with %v; want MISCONF", err)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	lone := open(t, bus.Config{URL: s.srv.URL}, nil)
	if _, err := lone.Publish(ctx, event(t, "wf-refused", 1)); err == nil || !strings.Contains(err.Error(), "MISCONF") {
		t.Errorf("publishing ended with %v; want what Redis says, MISCONF and the reason", err)
	}
	refused, before := ld.sent.Load(), effortOf(t, admin)
	hold(t, 8*time.Second)
	if n := ld.sent.Load() - refused; n > 0 {
		t.Errorf("%d publishes ended while the disk was full; want them to wait", n)
	}
	// The service is one more, and the bus that was told.
	noStorm(t, quartetBuses+2, before, effortOf(t, admin))
	limitFiles(t, s.srv, math.MaxInt64)
	return 1
}

// endedWithoutRoom starts Redis again and again, as a supervisor would, until
// there is room.
func endedWithoutRoom(t *testing.T, s *quartet, _ *load) (times int) {
	t.Helper()
	const ends = 3
	for range ends {
		fillDisk(t, s.srv)
		select {
		case <-s.srv.Done():
		case <-time.After(20 * time.Second):
			t.Fatal("Redis still runs, though it cannot write what it must not acknowledge unwritten")
		}
		hold(t, 2*time.Second)
		if err := s.srv.Restart(t.Context()); err != nil { // a new process, without the limit
			t.Fatal(err)
		}
	}
	return ends
}

// fillDisk leaves a little room for the append-only file.
func fillDisk(t *testing.T, srv *devserver.Server) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(srv.Dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		t.Fatalf("append-only files %v, %v; want one", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	limitFiles(t, srv, info.Size()+10_000)
}

// limitFiles bounds the size of every file that the server writes.
func limitFiles(t *testing.T, srv *devserver.Server, size int64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(srv.PID(), unix.RLIMIT_FSIZE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = min(uint64(size), limit.Max)
	if err := unix.Prlimit(srv.PID(), unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}
