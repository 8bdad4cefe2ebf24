package devserver

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds a start where the caller's context does not; loading a large AOF takes seconds.
const startTimeout = 60 * time.Second

// Server is a running server of this process. Its methods may be called from any goroutine.
type Server struct {
	URL  string // what REDIS_URL or DATABASE_URL is to be
	Dir  string // absolute
	Port int

	stopSignal syscall.Signal
	start      func(context.Context) (*process, error)

	mu   sync.Mutex
	proc *process
}

// newServer starts the first process of a server.
func newServer(ctx context.Context, s *Server) (*Server, error) {
	proc, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	s.proc = proc
	return s, nil
}

func (s *Server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// PID is the process id of the server, also after it has ended.
func (s *Server) PID() int { return s.current().cmd.Process.Pid }

// Done is closed when the server process has ended, for whatever reason. After a Restart ask again.
func (s *Server) Done() <-chan struct{} { return s.current().done }

// Stop ends the server gracefully: data is written out. When ctx ends first the server is killed and
// ctx's error is returned. Stopping a server that has ended is not an error.
func (s *Server) Stop(ctx context.Context) error {
	proc := s.current()
	// Again every second: Redis refuses to end while it writes its first AOF, and forgets that it was asked.
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		proc.signal(s.stopSignal)
		select {
		case <-proc.done:
			return nil
		case <-again.C:
		case <-ctx.Done():
			s.Kill()
			return fmt.Errorf("server on port %d did not stop and was killed: %w", s.Port, context.Cause(ctx))
		}
	}
}

// Kill ends the server with SIGKILL, as a crash would, and waits until it is gone.
func (s *Server) Kill() {
	proc := s.current()
	proc.signal(syscall.SIGKILL)
	<-proc.done
}

// Restart starts the server again on the same Dir and Port, after Stop or Kill.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.proc.done:
	default:
		return fmt.Errorf("server on port %d still runs: stop it before a restart", s.Port)
	}
	proc, err := s.start(ctx)
	if err != nil {
		return err
	}
	s.proc = proc
	return nil
}

// lockWait is how long a start waits for the previous server of the directory to end: a fast shutdown
// of PostgreSQL with a full write cache takes a few seconds.
const lockWait = 15 * time.Second

// lockDir takes the lock that says "a server works in this directory". The file is handed to the
// server process, which keeps the lock by keeping it open.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	lock, err := os.OpenFile(dir+"/lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = poll(ctx, lockWait, func() error {
		return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if err != nil {
		return nil, fmt.Errorf("another server still works in %s: stop it first: %w", dir, closeAfter(lock, err))
	}
	return lock, nil
}

func closeAfter(c io.Closer, err error) error {
	_ = c.Close() // err says more
	return err
}

// poll calls try until it returns nil; it gives up when ctx ends or after the timeout, with try's last
// error. The pause grows from 2 to 50 ms: starts take between 20 ms and seconds.
func poll(ctx context.Context, timeout time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pause := 2 * time.Millisecond
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause = min(2*pause, 50*time.Millisecond)
		}
	}
}
