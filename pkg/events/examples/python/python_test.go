// Package python runs the Python programs beside it together with the bus, as pkg/events/README.md says
// that a program in another language takes part.
package python

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// system is a bus with a prefix of its own, and a plain client of the same Redis.
type system struct {
	*testing.T
	url, prefix string
	bus         *bus.Bus
	redis       *redis.Client
}

func open(t *testing.T, cfg bus.Config) system {
	t.Helper()
	cfg.URL, cfg.Prefix = servertest.Redis(t), servertest.Prefix(t)
	b := bustest.Open(t, cfg)
	o, err := redis.ParseURL(cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return system{T: t, url: cfg.URL, prefix: cfg.Prefix, bus: b, redis: client}
}

func (s system) publish(typ events.Type, n int) (ids []string) {
	s.Helper()
	var batch []events.Event
	for i := range n {
		batch = append(batch, s.event(typ, fmt.Sprint("wf-", i%50)))
		ids = append(ids, batch[i].ID)
	}
	if _, err := s.bus.Publish(s.Context(), batch...); err != nil {
		s.Fatal(err)
	}
	return ids
}

func (s system) event(typ events.Type, workflow string) events.Event {
	s.Helper()
	var payload events.Payload = &events.WorkflowStartedData{Stage: events.Audit}
	if typ == events.WorkflowProgressed {
		payload = &events.WorkflowProgressedData{Percent: 40, Stage: events.Audit}
	}
	e, err := events.New(typ, workflow, "tester", payload)
	if err != nil {
		s.Fatal(err)
	}
	return e
}

// consume has a group of the bus handle events until the test ends.
func (s system) consume(group string, typ events.Type, handle func(consumer.Message)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- consumer.Run(ctx, s.bus, consumer.Subscription{Group: group, Types: []events.Type{typ},
			Handle: func(_ context.Context, m consumer.Message) error { handle(m); return nil }})
	}()
	s.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.Error(err)
		}
	})
}

// program is a Python program that runs; its lines are the ids of events.
type program struct {
	*exec.Cmd
	s     system
	ended chan error

	mu  sync.Mutex
	ids []string
}

func (s system) start(args ...string) *program {
	s.Helper()
	p := &program{Cmd: exec.Command(interpreter(s.T), append(args, "--prefix", s.prefix)...), s: s, ended: make(chan error, 1)}
	p.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	p.Stderr = s.Output()
	out, err := p.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := p.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.ids = append(p.ids, lines.Text())
			p.mu.Unlock()
		}
		p.ended <- p.Wait()
	}()
	s.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

func (s system) startConsumer(group, member, types string, flags ...string) *program {
	s.Helper()
	return s.start(append([]string{"consumer.py", s.url, group, member, types}, flags...)...)
}

// wait returns what the program printed until it ended by itself.
func (p *program) wait() []string {
	p.s.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			p.s.Fatalf("%v: %v", p.Args[1:], err)
		}
	case <-time.After(2 * time.Minute):
		p.s.Fatalf("%v still runs after 2 minutes, with %d events handled", p.Args[1:], len(p.handled()))
	}
	return p.handled()
}

func (p *program) handled() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ids)
}

// interpreter is a Python that has the package redis; Debian's need not be the first of PATH.
var interpreter = func() func(t *testing.T) string {
	find := sync.OnceValue(func() string {
		for _, path := range []string{"python3", "/usr/bin/python3"} {
			if exec.Command(path, "-c", "import redis").Run() == nil {
				return path
			}
		}
		return ""
	})
	return func(t *testing.T) string {
		t.Helper()
		path := find()
		if path == "" {
			t.Fatal("no python3 here has the package redis; install it with deploy/install-deps.sh --for-tests")
		}
		return path
	}
}()

// sameIDs wants each id once, in any order.
func sameIDs(t *testing.T, got, want []string) {
	t.Helper()
	times := make(map[string]int, len(want))
	for _, id := range got {
		times[id]++
	}
	wrong := 0
	for _, id := range want {
		if times[id] != 1 {
			wrong++
		}
	}
	if wrong > 0 || len(got) != len(want) {
		t.Fatalf("%d events were handled of %d that were published; %d of those not exactly once", len(got), len(want), wrong)
	}
}

// TestProducer: what the Python producer adds is numbered after what the workflow had, in order.
func TestProducer(t *testing.T) {
	t.Parallel()
	s := open(t, bus.Config{})
	first := s.event(events.WorkflowProgressed, "wf-1")
	if _, err := s.bus.Publish(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	want := append([]string{first.ID}, s.start("producer.py", s.url, "wf-1", "--count", "200").wait()...)
	if len(want) != 201 {
		t.Fatalf("the producer printed %d ids; want 200", len(want)-1)
	}

	var mu sync.Mutex
	got := make([]string, len(want))
	n := 0
	s.consume("readers", events.WorkflowProgressed, func(m consumer.Message) {
		mu.Lock()
		defer mu.Unlock()
		if m.Seq < 1 || int(m.Seq) > len(got) {
			t.Errorf("event %s has the number %d", m.Event.ID, m.Seq)
			return
		}
		got[m.Seq-1] = m.Event.ID
		n++
	})
	servertest.Eventually(t, 30*time.Second, func() error {
		mu.Lock()
		defer mu.Unlock()
		if n < len(want) {
			return fmt.Errorf("%d events were handled; want %d", n, len(want))
		}
		return nil
	})
	if !slices.Equal(got, want) || n != len(want) {
		t.Fatalf("%d events came; by their numbers they are\n%v, want\n%v", n, got, want)
	}
}

// TestConsumerUnderLoad: while 10,000 events/s pass, each is an entry of one JSON object, and a Python group
// handles each once.
func TestConsumerUnderLoad(t *testing.T) {
	t.Parallel()
	s := open(t, bus.Config{})
	const calls, perCall = 2500, 16 // one call each 1.6 ms: 10,000 events/s for 4 s
	p := s.startConsumer("loaded", "member-1", "workflow.started,workflow.progressed", "--batch", "500", "--count", strconv.Itoa(calls*perCall))

	var mu sync.Mutex
	var want []string
	var publishers sync.WaitGroup
	tick := time.NewTicker(1600 * time.Microsecond)
	defer tick.Stop()
	turns := make(chan events.Type)
	for range 8 {
		publishers.Go(func() {
			for typ := range turns {
				ids := s.publish(typ, perCall)
				mu.Lock()
				want = append(want, ids...)
				mu.Unlock()
			}
		})
	}
	for i := range calls {
		<-tick.C
		turns <- []events.Type{events.WorkflowStarted, events.WorkflowProgressed}[i%2]
	}
	close(turns)
	publishers.Wait()

	sameIDs(t, p.wait(), want)
	var inEntries []string
	for _, typ := range []string{"workflow.started", "workflow.progressed"} {
		entries, err := s.redis.XRange(t.Context(), s.prefix+"events:"+typ, "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			var event struct{ ID string }
			if err := json.Unmarshal([]byte(e.Values["data"].(string)), &event); err != nil {
				t.Fatalf("entry %s: data is not one object: %v", e.ID, err)
			}
			if _, err := strconv.Atoi(e.Values["seq"].(string)); err != nil {
				t.Fatalf("entry %s: seq is not one number: %v", e.ID, err)
			}
			inEntries = append(inEntries, event.ID)
		}
	}
	sameIDs(t, inEntries, want)
}

// TestGroupHoldsTrimming: what a Python group has not acknowledged stays, and what every group has goes.
func TestGroupHoldsTrimming(t *testing.T) {
	t.Parallel()
	s := open(t, bus.Config{Retention: "1ms"})
	// The started events are trimmed before the progressed ones, by one pass over the types.
	held, other := s.prefix+"events:workflow.started", s.prefix+"events:workflow.progressed"
	s.consume("readers", events.WorkflowProgressed, func(consumer.Message) {})
	s.consume("starters", events.WorkflowStarted, func(consumer.Message) {})
	slow := s.startConsumer("slow", "member-1", "workflow.started", "--batch", "10", "--count", "40")
	servertest.Eventually(t, time.Minute, func() error { // before there is anything: what is handled goes quickly here
		if types := s.redis.HGet(t.Context(), s.prefix+"groups", "slow").Val(); types != "workflow.started" {
			return fmt.Errorf("the group is registered for %q", types)
		}
		return nil
	})
	want := s.publish(events.WorkflowStarted, 100)
	first := slow.wait()
	s.publish(events.WorkflowProgressed, 10)

	length := func(stream string, n int64) func() error {
		return func() error {
			got, err := s.redis.XLen(t.Context(), stream).Result()
			if err == nil && got != n {
				err = fmt.Errorf("%s has %d entries; want %d", stream, got, n)
			}
			return err
		}
	}
	servertest.Eventually(t, time.Minute, length(other, 0))
	if err := length(held, 60)(); err != nil {
		t.Fatal(err)
	}
	rest := s.startConsumer("slow", "member-2", "workflow.started", "--count", "60").wait()
	sameIDs(t, append(first, rest...), want)
	servertest.Eventually(t, time.Minute, length(held, 0))
}

// TestTakeOver: in a group of Python members the others go on with what a killed one had in hand.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	s := open(t, bus.Config{})
	want := s.publish(events.WorkflowStarted, 20)
	killed := s.startConsumer("pair", "member-1", "workflow.started", "--batch", "20", "--work", "0.2")
	servertest.Eventually(t, time.Minute, func() error {
		if len(killed.handled()) < 3 {
			return errors.New("three events are not handled yet")
		}
		return nil
	})
	if err := killed.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-killed.ended
	// None of its entries was acknowledged: that comes once for all that were read together.
	sameIDs(t, s.startConsumer("pair", "member-2", "workflow.started", "--retry-every", "0.2", "--claim-after", "6", "--count", "20").wait(), want)
}

// TestBusyMemberKeepsItsEntries: a member that works longer than claim-after, but beats, is not robbed.
func TestBusyMemberKeepsItsEntries(t *testing.T) {
	t.Parallel()
	s := open(t, bus.Config{})
	want := s.publish(events.WorkflowStarted, 1)
	busy := s.startConsumer("pair", "member-1", "workflow.started", "--work", "8", "--count", "1")
	servertest.Eventually(t, time.Minute, func() error {
		if n := s.redis.XPending(t.Context(), s.prefix+"events:workflow.started", "pair").Val(); n == nil || n.Count != 1 {
			return errors.New("it has not read the event yet")
		}
		return nil
	})
	idle := s.startConsumer("pair", "member-2", "workflow.started", "--retry-every", "0.2", "--claim-after", "5")
	sameIDs(t, busy.wait(), want)
	if err := idle.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if stolen := idle.wait(); len(stolen) > 0 {
		t.Fatalf("the other member handled %v", stolen)
	}
}

// TestMemberWithoutLeaseIsNotRobbed: a Python program inside a group of the bus works on
// an event for twice as long as a member without a sign of life is let live, and keeps it.
func TestMemberWithoutLeaseIsNotRobbed(t *testing.T) {
	t.Parallel()
	s := open(t, bus.Config{}) // it lets such a member live for 6 s, and the program gives a sign every 3 s
	want := s.publish(events.WorkflowStarted, 1)
	foreign := s.startConsumer("pair", "foreign", "workflow.started", "--work", "12", "--count", "1", "--no-lease")
	servertest.Eventually(t, time.Minute, func() error {
		if n := s.redis.XPending(t.Context(), s.prefix+"events:workflow.started", "pair").Val(); n == nil || n.Count != 1 {
			return errors.New("it has not read the event yet")
		}
		return nil
	})
	var taken atomic.Int32
	s.consume("pair", events.WorkflowStarted, func(consumer.Message) { taken.Add(1) })
	sameIDs(t, foreign.wait(), want)
	if n := taken.Load(); n > 0 {
		t.Errorf("a member of the bus handled %d events while the program worked on one", n)
	}
}

// TestDeadLetter: a Python group's dead letters are listed and replayed as any other's.
func TestDeadLetter(t *testing.T) {
	t.Parallel()
	s := open(t, bus.Config{})
	p := s.startConsumer("failing", "member-1", "workflow.started", "--retry-every", "0.2")
	stream := s.prefix + "events:workflow.started"
	workflow := "wf-" + uuid.NewString()
	entry, err := s.redis.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: []string{"data", `{"type":"workflow.started","workflow_id":"` + workflow + `"}`}}).Result()
	if err != nil {
		t.Fatal(err)
	}
	good := s.publish(events.WorkflowStarted, 1)

	var letters []inspect.DeadLetter
	servertest.Eventually(t, time.Minute, func() (err error) {
		if letters, err = inspect.New(s.bus).DeadLetters(t.Context(), "failing", inspect.DeadLetterFilter{}); err == nil && len(letters) == 0 {
			err = errors.New("no dead letter yet")
		}
		return err
	})
	if l := letters[0]; len(letters) != 1 || l.Class != "error" || l.Error != "KeyError('id')" || l.Attempts != 5 || l.EntryID != entry ||
		l.Stream != stream || l.Member != "member-1" || l.DiedAt.IsZero() || len(l.Data) == 0 {
		t.Fatalf("the dead letters are %+v", letters)
	}
	pending, err := s.redis.XPending(t.Context(), stream, "failing").Result()
	if err != nil || pending.Count != 0 {
		t.Fatalf("pending is %+v, %v", pending, err)
	}

	if err := inspect.New(s.bus).Replay(t.Context(), "failing", letters[0].ID, "tester"); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, time.Minute, func() error {
		again, err := inspect.New(s.bus).DeadLetters(t.Context(), "failing", inspect.DeadLetterFilter{})
		if err == nil && (len(again) != 1 || again[0].ID == letters[0].ID) {
			err = fmt.Errorf("the replayed letter has not failed again: %+v", again)
		}
		return err
	})
	sameIDs(t, p.handled(), good)
}
