package localstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// readyTimeout bounds one process's start. Ready takes some 100 ms; the first start of a machine
	// under load a few seconds.
	readyTimeout = 60 * time.Second
	// stopTimeout is longer than the services' own SHUTDOWN_GRACE of 25 s.
	stopTimeout = 28 * time.Second
)

// Process is one process of a service, running or not. Its methods may be called from any goroutine,
// but start and end it from one.
type Process struct {
	Service string
	Name    string // <service>-<n>; also its member name on the bus
	Log     string // file that its output is appended to

	program string
	env     []string
	died    func(*Process) // told when it ends without having been asked to

	mu       sync.Mutex
	story    *story        // of the latest run, once it was ready
	done     chan struct{} // closed when the latest run has ended; nil before the first
	cmd      *exec.Cmd
	expected bool // its end was asked for
}

// Start runs the program and returns when it is ready. When it does not get ready it is ended again,
// and the error says why in the service's own words.
func (p *Process) Start(ctx context.Context) error {
	if p.Running() {
		return fmt.Errorf("%s runs already", p.Name)
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	from, err := log.Seek(0, 2)
	if err != nil {
		return err
	}
	if err := p.spawn(log); err != nil {
		return err
	}
	if err := p.awaitReady(ctx, &story{path: p.Log, at: from}); err != nil {
		p.Kill()
		return err
	}
	return nil
}

// spawn starts the program in a process group of its own, so that a Ctrl-C in the terminal reaches the
// stack's owner alone, and lets it end when the owner dies: for that the thread that forks must live as
// long as the process.
func (p *Process) spawn(log *os.File) error {
	cmd := exec.Command(p.program)
	cmd.Dir = filepath.Dir(p.Log)
	cmd.Env = p.env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithOwner(cmd.SysProcAttr)

	done, started := make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.mu.Lock()
			p.cmd, p.done, p.expected, p.story = cmd, done, false, nil
			p.mu.Unlock()
		}
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		p.mu.Lock()
		expected := p.expected
		p.mu.Unlock()
		close(done)
		if !expected {
			p.died(p)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	return nil
}

// Running reports whether the process was started and has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.Done():
		return false
	default:
		return true
	}
}

// closed stands for the end of a process that was never started.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Done is closed when the process has ended. After another Start ask again.
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		return closed
	}
	return p.done
}

// PID is the id of the latest run's process, 0 before the first.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// URL is where it listens for the setting, HTTP_ADDR or OPS_ADDR, such as http://127.0.0.1:8080; ""
// when it does not. With ports the kernel chooses it is another one after each Start.
func (p *Process) URL(setting string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.story == nil {
		return ""
	}
	if p.story.listens[setting] == "" {
		p.story.read() // it may have begun to listen a moment after it was ready
	}
	if p.story.listens[setting] == "" {
		return ""
	}
	return "http://" + p.story.listens[setting]
}

// Stop asks the process to drain and waits for its end. When ctx ends first, or the drain takes longer
// than any service's own limit, it is killed and the error says so.
func (p *Process) Stop(ctx context.Context) error {
	p.signal(syscall.SIGTERM)
	over := time.After(stopTimeout)
	select {
	case <-p.Done():
		return nil
	case <-ctx.Done():
	case <-over:
	}
	p.Kill()
	return fmt.Errorf("%s did not end by itself and was killed, see %s", p.Name, p.Log)
}

// Kill ends the process with SIGKILL, as a crash would, and waits until it is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.Done()
}

func (p *Process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = true
	if p.done == nil {
		return
	}
	select {
	case <-p.done: // the id may belong to somebody else by now
	default:
		_ = p.cmd.Process.Signal(sig)
	}
}

// Ended says how the latest run ended, with the last that it logged.
func (p *Process) Ended() error {
	<-p.Done()
	p.mu.Lock()
	state := "was not started"
	if p.cmd != nil {
		state = "ended with " + p.cmd.ProcessState.String()
	}
	p.mu.Unlock()
	s := &story{path: p.Log}
	s.read()
	if s.failure != "" {
		return fmt.Errorf("%s %s: %s; its log is %s", p.Name, state, s.failure, p.Log)
	}
	return fmt.Errorf("%s %s; its log is %s", p.Name, state, p.Log)
}

// explain words the failure of a start for the person who runs the stack.
func (p *Process) explain(failure string) error {
	for _, setting := range []string{"HTTP_ADDR", "OPS_ADDR"} {
		if addr, ok := strings.CutPrefix(failure, setting+"="); ok && strings.Contains(failure, "taken") {
			addr, _, _ = strings.Cut(addr, ": ")
			return fmt.Errorf("%s: the address %s is taken by another process: stop that one, or choose another with %s=host:port",
				p.Name, addr, Variable(p.Service, setting))
		}
	}
	return errors.New(p.Name + " did not start: " + failure + "; its log is " + p.Log)
}
