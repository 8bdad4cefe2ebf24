package servertest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"agentbus/pkg/devserver"
)

// shared belongs to the process: TestMain and the tests have no other place to hand it over.
var shared servers

// servers are started on first use, in a folder that close removes.
type servers struct {
	mu       sync.Mutex
	dir      string
	lock     *os.File
	redis    *devserver.Server
	postgres *devserver.Server
}

// dirPattern names the folders of test processes under os.TempDir().
const dirPattern = "agentbus-test-"

var errNoMain = errors.New("servertest: add `func TestMain(m *testing.M) { servertest.Main(m) }` to the package: it stops the servers")

// open makes the folder. It holds a lock in it as long as the process lives, and removes the folders of
// processes that were killed before they could.
func (s *servers) open() error {
	sweep(time.Now())
	dir, err := os.MkdirTemp("", dirPattern)
	if err != nil {
		return err
	}
	// Run by root, PostgreSQL's user must be able to enter.
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	s.dir, s.lock = dir, lock
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
}

// sweepAge keeps away from a folder whose process has not taken its lock yet.
const sweepAge = time.Minute

func sweep(now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPattern+"*")) // the pattern is well-formed
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || now.Sub(info.ModTime()) < sweepAge {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir) // another sweeper may be at it, or it is another user's
		}
		_ = lock.Close() // nothing was written
	}
}

func (s *servers) redisServer(ctx context.Context) (*devserver.Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		return nil, errNoMain
	}
	if s.redis == nil {
		// No snapshot at the end: the folder is about to be removed.
		server, err := devserver.StartRedis(ctx, devserver.RedisOptions{Dir: filepath.Join(s.dir, "redis"), Config: map[string]string{"save": ""}})
		if err != nil {
			return nil, err
		}
		s.redis = server
	}
	return s.redis, nil
}

func (s *servers) postgresServer(ctx context.Context) (*devserver.Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		return nil, errNoMain
	}
	if s.postgres == nil {
		server, err := devserver.StartPostgres(ctx, devserver.PostgresOptions{Dir: filepath.Join(s.dir, "postgres"), Fast: true})
		if err != nil {
			return nil, err
		}
		s.postgres = server
	}
	return s.postgres, nil
}

func (s *servers) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failed []error
	if s.redis != nil {
		s.redis.Kill() // nothing of it need be written out
	}
	if s.postgres != nil {
		// Not killed: that would leave its shared memory segment in the kernel.
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		failed = append(failed, s.postgres.Stop(ctx), devserver.RemovePostgres(filepath.Join(s.dir, "postgres")))
	}
	return errors.Join(append(failed, os.RemoveAll(s.dir), s.lock.Close())...)
}
