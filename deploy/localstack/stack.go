package localstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"agentbus/pkg/devserver"
)

// Stack is a running system. Its methods may be called from any goroutine, but Stop once.
type Stack struct {
	RedisURL    string
	DatabaseURL string
	Startup     time.Duration // how long Start took

	opts            Options
	lock            *os.File
	redis, postgres *devserver.Server // nil where the caller brought one
	processes       []*Process
	died            chan *Process

	mu    sync.Mutex
	files []*os.File
}

// Start starts everything and returns when all of it is ready. ctx bounds the start only. After an
// error nothing is left running.
func Start(ctx context.Context, o Options) (*Stack, error) {
	begun := time.Now()
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	names, err := o.services()
	if err != nil {
		return nil, err
	}
	s := &Stack{opts: o}
	if s.lock, err = lockDir(o.Dir); err != nil {
		return nil, err
	}
	for _, left := range []string{connectionFile(o.Dir), targetsFile(o.Dir)} {
		_ = os.Remove(left) // of a stack that was killed
	}
	if err := s.start(ctx, names); err != nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return nil, errors.Join(err, s.shut(stopping))
	}
	s.Startup = time.Since(begun)
	return s, nil
}

func (s *Stack) start(ctx context.Context, services []string) error {
	if err := os.MkdirAll(filepath.Join(s.opts.Dir, logsDir), 0o755); err != nil {
		return err
	}
	if err := s.startServers(ctx); err != nil {
		return err
	}
	for _, service := range services {
		for n := 1; n <= s.opts.replicas(service); n++ {
			name := fmt.Sprintf("%s-%d", service, n)
			p := &Process{Service: service, Name: name, Log: filepath.Join(s.opts.Dir, logsDir, name+".log"),
				program: filepath.Join(s.opts.Bin, service), env: s.environment(service, name, n)}
			p.died = func(p *Process) { s.died <- p }
			if err := fresh(p.Log); err != nil {
				return err
			}
			s.processes = append(s.processes, p)
		}
	}
	s.died = make(chan *Process, 1024) // more than anybody restarts between two looks
	if err := s.startAll(ctx, func(p *Process) bool { return p.Service != liveView }); err != nil {
		return err
	}
	// The live view hands requests on to the coordinator, whose port is known now.
	for _, p := range s.processes {
		if url := s.URL(coordinator, "HTTP_ADDR"); p.Service == liveView && url != "" {
			p.env = append([]string{"COORDINATOR_URL=" + url}, p.env...) // what the caller says comes later and wins
		}
	}
	if err := s.startAll(ctx, func(p *Process) bool { return p.Service == liveView }); err != nil {
		return err
	}
	return errors.Join(s.writeConnection(), s.writeTargets())
}

// The only services that know of each other.
const (
	coordinator = "coordinator-agent"
	liveView    = "websocket-manager"
)

// startAll starts the chosen processes, but for those that are left to the caller.
func (s *Stack) startAll(ctx context.Context, chosen func(*Process) bool) error {
	first, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return s.each(chosen, func(p *Process) error {
		for _, left := range s.opts.Except {
			if p.Service == left {
				return nil
			}
		}
		err := p.Start(first)
		if errors.Is(err, errOther) {
			return nil // the other one tells why
		}
		if err != nil {
			cancel(errOther) // the others need not wait
		}
		return err
	})
}

// errOther ends the starts of all when one has failed.
var errOther = errors.New("another process did not start")

// fresh keeps one earlier log beside the new one.
func fresh(log string) error {
	if err := os.Rename(log, log+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Processes lists all processes, those that do not run included, by service and number.
func (s *Stack) Processes() []*Process { return s.processes }

// Process is the one of that name, such as db-writer-1; nil when there is none.
func (s *Stack) Process(name string) *Process {
	for _, p := range s.processes {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// URL is where replica 1 of the service listens for HTTP_ADDR or OPS_ADDR, "" when it does not.
func (s *Stack) URL(service, setting string) string {
	if p := s.Process(service + "-1"); p != nil {
		return p.URL(setting)
	}
	return ""
}

// Died delivers processes that ended without having been asked to.
func (s *Stack) Died() <-chan *Process { return s.died }

// each calls do for the chosen processes, all at once, and joins the errors in the processes' order.
func (s *Stack) each(chosen func(*Process) bool, do func(*Process) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(s.processes))
	for i, p := range s.processes {
		if chosen(p) {
			wg.Go(func() { errs[i] = do(p) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// lockDir keeps a second stack away from the folder. The kernel lets go of it when the process dies.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(f.Name())
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("another stack runs in %s, started by process %s: stop it with Ctrl-C there, or give this one another folder with --dir",
			dir, strings.TrimSpace(string(owner)))
	}
	if err := errors.Join(f.Truncate(0), func() error { _, err := fmt.Fprintln(f, os.Getpid()); return err }()); err != nil {
		_ = f.Close() // err says more
		return nil, err
	}
	return f, nil
}

// URLs is where the running replicas of the service listen for HTTP_ADDR or OPS_ADDR.
func (s *Stack) URLs(service, setting string) (urls []string) {
	for _, p := range s.processes {
		if p.Service == service && p.Running() && p.URL(setting) != "" {
			urls = append(urls, p.URL(setting))
		}
	}
	return urls
}

// Logs are the log files of all replicas of the service.
func (s *Stack) Logs(service string) (files []string) {
	for _, p := range s.processes {
		if p.Service == service {
			files = append(files, p.Log)
		}
	}
	return files
}

// Dir is the folder of the stack's state, absolute.
func (s *Stack) Dir() string { return s.opts.Dir }
