package servertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentbus/pkg/devserver"

	"github.com/jackc/pgx/v5"
)

// TestMain is Main, and checks afterwards that nothing is left.
func TestMain(m *testing.M) {
	code := runAll(m)
	if _, err := os.Stat(shared.dir); !errors.Is(err, os.ErrNotExist) {
		fmt.Println("left behind:", shared.dir)
		code = 1
	}
	for _, s := range []*devserver.Server{shared.redis, shared.postgres} {
		if s == nil {
			continue
		}
		if conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", s.Port)); err == nil {
			_ = conn.Close()
			fmt.Println("still answers:", s.URL)
			code = 1
		}
	}
	os.Exit(code)
}

func TestRedisIsShared(t *testing.T) {
	t.Parallel()
	if a, b := Redis(t), Redis(t); a != b || !strings.HasPrefix(a, "redis://127.0.0.1:") {
		t.Errorf("%q and %q", a, b)
	}
	if a, b := Prefix(t), Prefix(t); a == b || !strings.HasSuffix(a, ":") {
		t.Errorf("%q and %q", a, b)
	}
}

func TestOwnRedisIsItsOwn(t *testing.T) {
	t.Parallel()
	s := OwnRedis(t, devserver.RedisOptions{})
	if s.URL == Redis(t) {
		t.Error("the shared server")
	}
	s.Kill()
	if err := s.Restart(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOwnPostgres(t *testing.T) {
	t.Parallel()
	var dir string
	t.Run("inner", func(t *testing.T) {
		s := OwnPostgres(t)
		dir = s.Dir
		if err := execute(t.Context(), s.URL, "SELECT"); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind", dir)
	}
}

func TestPostgresGivesNewDatabases(t *testing.T) {
	t.Parallel()
	var gone string
	t.Run("inner", func(t *testing.T) {
		for range 3 {
			t.Run("parallel", func(t *testing.T) {
				t.Parallel()
				if err := execute(t.Context(), Postgres(t), "CREATE TABLE same_name (n int)"); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Run("dropped", func(t *testing.T) {
		u, err := url.Parse(Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		gone = strings.TrimPrefix(u.Path, "/")
		// A connection left open does not keep the database from being dropped.
		conn, err := pgx.Connect(t.Context(), u.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn
	})
	conn, err := pgx.Connect(t.Context(), shared.postgres.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var exists bool
	if err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", gone).Scan(&exists); err != nil {
		t.Fatal(err)
	}
	if exists {
		t.Errorf("%s was not dropped", gone)
	}
}

// failing records what Fatalf says.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestEventually(t *testing.T) {
	t.Parallel()
	calls := 0
	Eventually(t, 10*time.Second, func() error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}

	f := &failing{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Eventually(f, 10*time.Millisecond, func() error { return errors.New("2 of 3 rows") })
	}()
	<-ended
	if !strings.Contains(f.said, "10ms") || !strings.Contains(f.said, "2 of 3 rows") {
		t.Errorf("said %q", f.said)
	}
}

func TestSweepRemovesFoldersOfKilledProcesses(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	folder := func() (string, *os.File) {
		dir, err := os.MkdirTemp("", dirPattern)
		if err != nil {
			t.Fatal(err)
		}
		lock, err := os.Create(filepath.Join(dir, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		return dir, lock
	}
	dead, lock := folder()
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	alive, held := folder()
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}

	sweep(time.Now()) // both are too young to judge
	if _, err := os.Stat(dead); err != nil {
		t.Error(err)
	}
	sweep(time.Now().Add(2 * sweepAge))
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Error("the folder of a dead process is kept")
	}
	if _, err := os.Stat(alive); err != nil {
		t.Error("the folder of a living process was removed")
	}
}
