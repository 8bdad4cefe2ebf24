package workload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"agentbus/pkg/events"
)

// Publishers is how many goroutines publish, each waiting for its call to return.
const Publishers = 16

// Load is one way to publish.
type Load struct {
	Rate      int           // events per second; 0: as fast as it goes
	Batch     int           // events of one call; 1
	Workflows int           // 1,000
	Types     []events.Type // all
	For       time.Duration // of publishing
	WarmUp    time.Duration // published before, at the same rate, not counted
}

// Target takes events.
type Target interface {
	// Publish returns when the server has the events.
	Publish(ctx context.Context, batch []Event) error
}

// settler is a target that looks only when all is published at what its groups have.
type settler interface {
	Settle(ctx context.Context) error
}

// Result is how a load went.
type Result struct {
	Published int
	Seconds   float64 // from the first publish until every group had handled every event
	PerSecond float64
	Latency   Latency            // of all groups together
	Each      map[string]Latency // by group
	Usage     Usage
	Repeated  int // handled again by the same group
}

const (
	// drainTime bounds the wait for groups that are behind.
	drainTime = 60 * time.Second
	// mostBehind stops publishers that go as fast as they can: what is measured then is
	// what goes through, not how long a queue can grow.
	mostBehind = 10_000
	// fastest sizes the tracker: no contender on two cores comes near.
	fastest = 300_000
)

// ErrLost means that groups did not handle all events in time.
var ErrLost = errors.New("not every event was handled")

// Run publishes the load at the target that start makes, whose groups tell the tracker, and waits until they
// have handled everything. server is the process id of the server, for its CPU time; 0: not asked.
func Run(ctx context.Context, l Load, groups []Group, server int, start func(*Tracker) (Target, error)) (Result, error) {
	if l.Batch == 0 {
		l.Batch = 1
	}
	if l.Workflows == 0 {
		l.Workflows = 1000
	}
	most := fastest
	if l.Rate > 0 {
		most = l.Rate + l.Rate/10
	}
	s := newSource(l.Workflows, l.Types...)
	t := newTracker(s, int(float64(most)*(l.For+l.WarmUp).Seconds())+Publishers*l.Batch, groups)
	target, err := start(t)
	if err != nil {
		return Result{}, err
	}
	p := &publishing{load: l, source: s, tracker: t, target: target}
	if l.WarmUp > 0 {
		if err := p.publish(ctx, l.WarmUp); err != nil {
			return Result{}, err
		}
		t.reset()
	}
	before, m, begun := p.published(), startMeter(server), time.Now()
	if err := p.publish(ctx, l.For); err != nil {
		return Result{}, err
	}
	r := Result{Published: p.published() - before, Seconds: time.Since(begun).Seconds(), Each: map[string]Latency{}}
	r.Usage = m.since(r.Published)
	r.PerSecond, r.Latency = float64(r.Published)/r.Seconds, t.latency()
	for _, g := range t.groups {
		g.mu.Lock() // an event that was handled may be handled again
		r.Repeated += g.repeated
		r.Each[g.Name] = latencyOf(g.took)
		g.mu.Unlock()
	}
	return r, nil
}

// await blocks until every group has handled what it wants.
func (t *Tracker) await(ctx context.Context) error {
	end := time.Now().Add(drainTime)
	for t.behind(true) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Now().After(end) {
			var text []string
			for _, g := range t.groups {
				text = append(text, fmt.Sprintf("%s %d of %d", g.Name, g.handled.Load(), g.wanted.Load()))
			}
			return fmt.Errorf("%w after %s: %s", ErrLost, drainTime, strings.Join(text, ", "))
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

type publishing struct {
	load    Load
	source  *source
	tracker *Tracker
	target  Target
	next    atomic.Int64
}

func (p *publishing) published() int { return int(p.next.Load()) }

// publish runs the publishers for d and waits for the groups.
func (p *publishing) publish(ctx context.Context, d time.Duration) error {
	var wg sync.WaitGroup
	errs := make([]error, Publishers)
	begun := time.Now()
	for i := range Publishers {
		wg.Go(func() { errs[i] = p.one(ctx, begun, d, i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if s, ok := p.target.(settler); ok {
		if err := s.Settle(ctx); err != nil {
			return err
		}
	}
	return p.tracker.await(ctx)
}

// one publishes its share: call after call, each when it is due.
func (p *publishing) one(ctx context.Context, begun time.Time, d time.Duration, i int) error {
	every := time.Duration(0)
	if p.load.Rate > 0 {
		every = time.Duration(int64(Publishers*p.load.Batch) * int64(time.Second) / int64(p.load.Rate))
	}
	batch := make([]Event, p.load.Batch)
	due := begun.Add(every * time.Duration(i) / Publishers)
	for ; ; due = due.Add(every) {
		if wait := time.Until(due); every > 0 && wait > 0 {
			time.Sleep(wait)
		}
		for every == 0 && p.tracker.behind(false) > mostBehind && time.Since(begun) < d {
			time.Sleep(200 * time.Microsecond)
		}
		if time.Since(begun) >= d {
			return nil
		}
		to := int(p.next.Add(int64(len(batch))))
		if to > len(p.tracker.begun) {
			return errors.New("workload: more events than the tracker has room for")
		}
		for k := range batch {
			batch[k] = p.source.event(to - len(batch) + k)
		}
		now := time.Now().UnixNano()
		for _, e := range batch {
			p.tracker.publishing(e, now)
		}
		if err := p.target.Publish(ctx, batch); err != nil {
			return err
		}
	}
}
