package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Publishers is how many goroutines publish, each waiting for its call to return.
const Publishers = 16

// Load is one way to publish.
type Load struct {
	Rate      int           // events per second; 0: as fast as it goes
	Batch     int           // events of one call; 1
	Workflows int           // 1,000
	For       time.Duration // of publishing
	WarmUp    time.Duration // published before, at the same rate, not counted
}

// Target takes events.
type Target interface {
	// Publish returns when the server has the events.
	Publish(ctx context.Context, batch []Event) error
}

// Result is how a load went.
type Result struct {
	Published int
	Seconds   float64 // from the first publish until every group had handled every event
	PerSecond float64
	Latency   Latency
	Usage     Usage
	Repeated  int // handled again by the same group
}

// drainTime bounds the wait for groups that are behind.
const drainTime = 60 * time.Second

// ErrLost means that groups did not handle all events in time.
var ErrLost = errors.New("not every event was handled")

// Run publishes the load at the target, whose groups tell the tracker that make was called with, and waits until they have
// handled everything. server is the process id of the server, for its CPU time; 0: not asked.
func Run(ctx context.Context, l Load, groups, server int, start func(*Tracker) (Target, error)) (Result, error) {
	if l.Batch == 0 {
		l.Batch = 1
	}
	if l.Workflows == 0 {
		l.Workflows = 1000
	}
	const fastest = 300_000 // no contender on two cores comes near
	most := fastest
	if l.Rate > 0 {
		most = l.Rate + l.Rate/10
	}
	most = int(float64(most)*(l.For+l.WarmUp).Seconds()) + Publishers*l.Batch
	t := NewTracker(most, groups)
	target, err := start(t)
	if err != nil {
		return Result{}, err
	}
	s := newSource(l.Workflows)
	p := &publishing{load: l, source: s, tracker: t, target: target}
	if l.WarmUp > 0 {
		if err := p.publish(ctx, l.WarmUp); err != nil {
			return Result{}, err
		}
		if err := t.await(ctx, p.published()); err != nil {
			return Result{}, err
		}
		for _, g := range t.groups {
			g.took.Reset()
		}
	}
	before, m, begun := p.published(), startMeter(server), time.Now()
	if err := p.publish(ctx, l.For); err != nil {
		return Result{}, err
	}
	if err := t.await(ctx, p.published()); err != nil {
		return Result{}, err
	}
	r := Result{Published: p.published() - before, Seconds: time.Since(begun).Seconds()}
	r.Usage = m.since(r.Published)
	r.PerSecond, r.Latency = float64(r.Published)/r.Seconds, t.latency()
	for _, g := range t.groups {
		r.Repeated += g.repeated
	}
	return r, nil
}

// await blocks until every group has handled n events.
func (t *Tracker) await(ctx context.Context, n int) error {
	end := time.Now().Add(drainTime)
	for !t.done(n) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Now().After(end) {
			var have []int64
			for _, g := range t.groups {
				have = append(have, g.handled.Load())
			}
			return fmt.Errorf("%w: %d were published, the groups have %v after %s", ErrLost, n, have, drainTime)
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

// publish runs the publishers for d.
func (p *publishing) publish(ctx context.Context, d time.Duration) error {
	var wg sync.WaitGroup
	errs := make([]error, Publishers)
	begun := time.Now()
	for i := range Publishers {
		wg.Go(func() { errs[i] = p.one(ctx, begun, d, i) })
	}
	wg.Wait()
	return errors.Join(errs...)
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
		for k := range batch {
			p.tracker.begun[batch[k].N].Store(now)
		}
		if err := p.target.Publish(ctx, batch); err != nil {
			return err
		}
	}
}
