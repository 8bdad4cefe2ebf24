package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Times of a command's end. Together they stay under the second within which a
// cancelled stage has stopped.
const (
	watchEvery = 100 * time.Millisecond // between looks at memory and process number
	termGrace  = 500 * time.Millisecond // between SIGTERM and SIGKILL
	tailBytes  = 8 << 10                // of stderr kept for reasons
)

// Runner starts commands for tools, under limits. The zero value has none. Safe
// for concurrent use by different tasks; one task runs one command at a time.
type Runner struct {
	Limits Limits
	Env    []string // names of further variables that are passed on
}

// Process is a command to run.
type Process struct {
	Args   []string // fixed; no shell looks at it
	Dir    string   // "" is the task's workspace
	Env    []string // NAME=value, beside what is passed on
	Stdin  io.Reader
	Stdout io.Writer // nil discards
	Stderr io.Writer // nil discards; the tail is kept in Exit all the same
}

// Exit is how a command ended by itself.
type Exit struct {
	Code   int    // -1 when a signal ended it
	Stderr string // its last 8 KiB
	State  string // e.g. "exit status 2", "signal: killed"
}

// Run runs p for t to its end. The error is a [*Failure] when a limit was passed,
// the context's cause when ctx ended, or says why p could not be started. On
// return, whatever p started is gone.
func (r *Runner) Run(ctx context.Context, t Task, p Process) (Exit, error) {
	if err := context.Cause(ctx); err != nil {
		return Exit{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	m := mark(t.CorrelationID)
	cmd := exec.Command(p.Args[0], p.Args[1:]...)
	cmd.Dir = p.Dir
	if cmd.Dir == "" {
		cmd.Dir = t.Workspace
	}
	cmd.Env = append(environment(r.Env, t.Workspace, m), p.Env...)
	cmd.Stdin = p.Stdin
	// The kernel kills the child when the thread that made it ends: an agent killed
	// with -9 takes its tool along. The thread must therefore last as long.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// A descendant that holds the pipes must not keep Wait; it is killed below.
	cmd.WaitDelay = termGrace

	tail := &tail{limit: tailBytes}
	budget := &budget{left: r.Limits.Output, limited: r.Limits.Output > 0, over: func() { stop(r.Limits.outputExceeded()) }}
	cmd.Stdout = budget.writer(orDiscard(p.Stdout))
	cmd.Stderr = budget.writer(io.MultiWriter(tail, orDiscard(p.Stderr)))

	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			return Exit{}, failf(CodeToolFailed, "the tool cannot be started: %v; install it, or correct TOOL_COMMAND", err)
		}
		return Exit{}, fmt.Errorf("start %s: %w", p.Args[0], err)
	}
	err := r.watch(ctx, stop, newFamily(cmd.Process.Pid, m), ended)
	if cause := context.Cause(ctx); cause != nil {
		return Exit{Code: -1, Stderr: tail.String(), State: cmd.ProcessState.String()}, cause
	}
	exit := Exit{Code: cmd.ProcessState.ExitCode(), Stderr: tail.String(), State: cmd.ProcessState.String()}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) && !errors.As(err, new(*exec.ExitError)) {
		return exit, fmt.Errorf("run %s: %w", p.Args[0], err)
	}
	return exit, nil
}

// watch waits for the command's end and makes sure that it comes.
func (r *Runner) watch(ctx context.Context, stop context.CancelCauseFunc, f *family, ended <-chan error) error {
	defer f.kill()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			if fail := r.Limits.exceeded(f.usage()); fail != nil {
				stop(fail)
			}
		case <-ctx.Done():
			f.signal(syscall.SIGTERM)
			select {
			case err := <-ended:
				return err
			case <-time.After(termGrace):
				f.kill()
				return <-ended
			}
		}
	}
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// budget counts the bytes of several writers against one limit.
type budget struct {
	mu      sync.Mutex
	left    int64
	limited bool
	over    func()
}

// writer passes writes on while the budget lasts. What comes after is dropped
// without an error, so that the command is ended by the kill, not by SIGPIPE.
func (b *budget) writer(w io.Writer) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		n := len(p)
		if b.limited {
			if int64(len(p)) > b.left {
				b.over()
				p = p[:b.left]
			}
			b.left -= int64(len(p))
		}
		_, _ = w.Write(p)
		return n, nil
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
