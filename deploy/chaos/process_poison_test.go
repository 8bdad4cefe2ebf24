package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// maxDeliveries is the default of [consumer.Subscription].
const maxDeliveries = 5

// TestHandlerKillsItsProcess: an event that ends whoever handles it becomes a dead letter after the
// limit, and its neighbours, in hand at every death, are handled.
func TestHandlerKillsItsProcess(t *testing.T) {
	killsItsProcess(t, "fragile-1", "restarted")
}

// TestHandlerKillsItsProcessUnderOtherNames is the same where each process that takes the place of a dead
// one has another name, as pods have.
func TestHandlerKillsItsProcessUnderOtherNames(t *testing.T) {
	long(t)      // each death is noticed after 20 s
	t.Parallel() // in which nothing happens
	killsItsProcess(t, "", "replaced under another name")
}

func killsItsProcess(t *testing.T, member, how string) {
	redis := servertest.OwnRedis(t, devserver.RedisOptions{})
	b := open(t, bus.Config{URL: redis.URL}, nil)
	l := ledger.New("fragile")
	var batch []events.Event
	for i := range 500 {
		batch = append(batch, event(t, fmt.Sprintf("neighbour-%d", i%100), i))
	}
	poison := event(t, "poison", 1)
	batch = append(batch[:250], append([]events.Event{poison}, batch[250:]...)...)
	if _, err := l.Publish(t.Context(), b, batch...); err != nil {
		t.Fatal(err)
	}

	begun := time.Now()
	f := startFragile(t, redis.URL, member, "poison")
	recovery := recovered(t, begun, 3*time.Minute, b, "fragile")
	f.stop()
	for _, id := range f.handled(t) {
		l.Effect("fragile", id)
	}
	found := letters(t, l, b, "fragile")
	if len(found) != 1 || found[0].EventID != poison.ID || found[0].Class != "crash" || found[0].Attempts != maxDeliveries {
		t.Errorf("the dead letters are %+v, want the poison alone after %d attempts", found, maxDeliveries)
	}
	if deaths := f.count(); deaths != maxDeliveries {
		t.Errorf("the event killed %d processes, want %d", deaths, maxDeliveries)
	}
	r := l.Report()
	report(t, "handler that kills its process, "+how, maxDeliveries, r, recovery)
	// Lines can come twice: what was printed when the process died could not be acknowledged.
	r.Groups[0].Duplicated = nil
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

// fragile keeps one process of the program running, as a supervisor would.
type fragile struct {
	lines string // file of what was handled
	end   context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex
	deaths int
}

func startFragile(t *testing.T, redisURL, member, poison string) *fragile {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "fragile")
	build(t, program, "fragile")
	out, err := os.OpenFile(filepath.Join(dir, "handled"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &fragile{lines: out.Name(), end: cancel, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		defer out.Close()
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, program)
			cmd.Env = append(os.Environ(), "REDIS_URL="+redisURL, "BUS_MEMBER="+member, "FRAGILE_POISON="+poison)
			cmd.Stdout = out
			var log bytes.Buffer
			cmd.Stderr = &log
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			cmd.WaitDelay = 30 * time.Second
			if _, err := cmd.StdinPipe(); err != nil { // open as long as this process lives
				t.Error(err)
				return
			}
			err := cmd.Run()
			var exit *exec.ExitError
			switch {
			case ctx.Err() != nil:
			case errors.As(err, &exit) && exit.ExitCode() == 1:
				f.mu.Lock()
				f.deaths++
				f.mu.Unlock()
			default:
				t.Errorf("fragile ended: %v\n%s", err, log.String())
				return
			}
		}
	}()
	t.Cleanup(f.stop)
	return f
}

func (f *fragile) stop() {
	f.end()
	<-f.done
}

func (f *fragile) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.deaths
}

// handled are the event ids that the processes printed.
func (f *fragile) handled(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(f.lines)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(data))
}
