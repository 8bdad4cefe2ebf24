package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The layout of a workspace.
const (
	inputsDir = "inputs" // one file or directory per input
	tempDir   = ".tmp"   // TMPDIR of the tool
	lockFile  = ".lock"  // held while the task runs
)

// workspace is a directory of one task. It holds a lock in it for as long as its
// agent lives, so that others can tell what a killed one left behind.
type workspace struct {
	dir  string
	lock *os.File
}

func newWorkspace(base, task string) (*workspace, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return nil, fmt.Errorf("WORKSPACE_DIR: %w", err)
	}
	// Made under a name that the sweep leaves alone, then locked, then named.
	made, err := os.MkdirTemp(base, ".new-*")
	if err != nil {
		return nil, fmt.Errorf("WORKSPACE_DIR: %w", err)
	}
	w := &workspace{dir: filepath.Join(base, task+"-"+strings.TrimPrefix(filepath.Base(made), ".new-"))}
	for _, sub := range []string{inputsDir, tempDir} {
		err = errors.Join(err, os.Mkdir(filepath.Join(made, sub), 0o755))
	}
	if err == nil {
		w.lock, err = os.Create(filepath.Join(made, lockFile))
	}
	if err == nil {
		err = syscall.Flock(int(w.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		err = os.Rename(made, w.dir)
	}
	if err != nil {
		_ = removeAll(made)
		return nil, fmt.Errorf("make the workspace: %w", err)
	}
	return w, nil
}

func (w *workspace) close() error {
	return errors.Join(removeAll(w.dir), w.lock.Close())
}

// ClearWorkspaces removes what agents that no longer live left in base, and
// returns how many workspaces that were.
func ClearWorkspaces(base string) (int, error) {
	entries, err := os.ReadDir(base)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	cleared := 0
	for _, e := range entries {
		dir := filepath.Join(base, e.Name())
		lock, openErr := os.Open(filepath.Join(dir, lockFile))
		if openErr != nil || strings.HasPrefix(e.Name(), ".") {
			continue // not a workspace, or one that is being made
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			err = errors.Join(err, removeAll(dir))
			cleared++
		}
		err = errors.Join(err, lock.Close())
	}
	return cleared, err
}

// removeAll also removes what a tool made read-only, as the Go module cache is.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
