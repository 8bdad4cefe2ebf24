package devserver

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is one run of a server program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed after the process has been waited for
	tail *tail
}

// spawn starts cmd in a process group of its own, holding lock, to die by the signal when the owner
// dies. It takes over the lock. Output goes to log (may be nil) and its end is kept for error texts.
func spawn(cmd *exec.Cmd, as *syscall.Credential, lock *os.File, onOwnerDeath syscall.Signal, log io.Writer) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{}), tail: &tail{next: log}}
	cmd.Stdout, cmd.Stderr = p.tail, p.tail
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as}
	dieWithOwner(cmd.SysProcAttr, onOwnerDeath)
	// Children of a killed server may hold its output open for a moment longer.
	cmd.WaitDelay = 2 * time.Second

	started := make(chan error, 1)
	go func() {
		// The death signal comes when the forking thread ends, see the package comment.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		_ = lock.Close() // the child has its own copy, which keeps the lock
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in cmd.ProcessState
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// signal reaches the whole process group; a group that is gone is what the caller wants anyway.
func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.done: // the id may belong to somebody else by now
	default:
		target := -p.cmd.Process.Pid
		if sig != syscall.SIGKILL {
			target = p.cmd.Process.Pid // a graceful end is led by the main process
		}
		_ = syscall.Kill(target, sig)
	}
}

// ready waits until probe succeeds. When the process ends or time is up it is killed and the error has
// the end of its output.
func (p *process) ready(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := poll(ctx, startTimeout, func() error { return probe(ctx) })
	select {
	case <-p.done:
		return fmt.Errorf("%s ended during the start (%s): %s", p.cmd.Path, p.cmd.ProcessState, p.tail)
	default:
	}
	if err != nil {
		p.signal(syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("%s does not answer: %w: %s", p.cmd.Path, err, p.tail)
	}
	return nil
}

// tail passes output on and keeps the last of it.
type tail struct {
	next io.Writer // nil: nobody else wants it

	mu   sync.Mutex
	kept []byte
}

// tailBytes is enough for the dozen lines that say why a server did not start.
const tailBytes = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailBytes; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	if t.next != nil {
		_, _ = t.next.Write(p) // a log that fails must not stop the server
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
