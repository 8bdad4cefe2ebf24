package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockEvery is how often a taken lock is tried again.
const lockEvery = 50 * time.Millisecond

// lock makes its holder the only one, of all agents on the machine, that changes
// the site. The kernel lets go of it when the holder dies.
func (s *site) lock(ctx context.Context) (unlock func(), err error) {
	for {
		unlock, ok, err := s.tryLock()
		if ok || err != nil {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockEvery):
		}
	}
}

func (s *site) tryLock() (unlock func(), ok bool, err error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return func() { _ = f.Close() }, true, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("lock %s: %w", s.dir, err)
}
