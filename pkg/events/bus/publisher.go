package bus

import (
	"context"
	"fmt"
	"sync"

	"agentbus/pkg/events/bus/internal/wire"
)

// publisher collects what concurrent calls want published. A few goroutines send;
// while they wait for Redis the next batch gathers, so batches grow with the load
// and a lone event never waits for company. Calls at the same time have no order,
// so it does not matter which sender is first.
type publisher struct {
	admit   *admitter
	mu      sync.Mutex
	wait    []*publishCall
	wake    chan struct{}
	stop    chan struct{}
	senders sync.WaitGroup
}

// Senders of a class. Without a confirmation Redis is the one that works, and more
// batches at once would only be smaller. A confirmation is a wait of up to two
// seconds for a disk that syncs once for all who wait.
const (
	asyncSenders     = 1
	confirmedSenders = 8
)

type publishCall struct {
	ctx      context.Context
	items    []item
	receipts []Receipt
	err      error
	done     chan struct{}
}

func startPublisher(a *admitter, class durability) *publisher {
	senders := confirmedSenders
	if class == async {
		senders = asyncSenders
	}
	p := &publisher{admit: a, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	for range senders {
		p.senders.Go(p.run)
	}
	return p
}

func (p *publisher) publish(ctx context.Context, items []item) ([]Receipt, error) {
	call := &publishCall{ctx: ctx, items: items, done: make(chan struct{})}
	p.mu.Lock()
	select {
	case <-p.stop:
		p.mu.Unlock()
		return nil, ErrClosed
	default:
	}
	p.wait = append(p.wait, call)
	p.mu.Unlock()
	wire.Signal(p.wake)
	select {
	case <-call.done:
		return call.receipts, call.err
	case <-ctx.Done():
		if why := p.admit.trouble.Load(); why != nil {
			return nil, fmt.Errorf("publish: outcome unknown: %w, while Redis answered: %w", context.Cause(ctx), *why)
		}
		return nil, fmt.Errorf("publish: outcome unknown: %w", context.Cause(ctx))
	}
}

func (p *publisher) close() {
	p.mu.Lock()
	close(p.stop)
	p.mu.Unlock()
	p.senders.Wait()
}

func (p *publisher) run() {
	for {
		stopping := false
		select {
		case <-p.wake:
		case <-p.stop:
			stopping = true
		}
		for calls := p.take(); len(calls) > 0; calls = p.take() {
			p.send(calls)
		}
		if stopping {
			return
		}
	}
}

// take returns waiting calls of about wire.MaxBatch events.
func (p *publisher) take() []*publishCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, size := 0, 0
	for n < len(p.wait) && (n == 0 || size+len(p.wait[n].items) <= wire.MaxBatch) {
		size += len(p.wait[n].items)
		n++
	}
	calls := p.wait[:n:n]
	p.wait = p.wait[n:]
	if len(p.wait) > 0 {
		wire.Signal(p.wake) // for another sender
	}
	return calls
}

// send publishes the calls' events and answers each call.
func (p *publisher) send(calls []*publishCall) {
	var live []*publishCall
	for _, c := range calls {
		if c.ctx.Err() != nil { // its caller has gone with "unknown"; not adding is allowed
			close(c.done)
			continue
		}
		live = append(live, c)
	}
	if len(live) == 0 {
		return
	}
	var all []item
	for _, c := range live {
		all = append(all, c.items...)
	}
	ctx, cancel := anyOf(live)
	defer cancel()
	receipts, err := p.admit.admit(ctx, all)
	for _, c := range live {
		if err != nil {
			c.err = err
		} else {
			c.receipts, receipts = receipts[:len(c.items):len(c.items)], receipts[len(c.items):]
		}
		close(c.done)
	}
}

// anyOf ends when every call's context has ended, or after publishPatience.
func anyOf(calls []*publishCall) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), publishPatience)
	if len(calls) == 1 {
		stop := context.AfterFunc(calls[0].ctx, cancel)
		return ctx, func() { stop(); cancel() }
	}
	var mu sync.Mutex
	left := len(calls)
	stops := make([]func() bool, len(calls))
	for i, c := range calls {
		stops[i] = context.AfterFunc(c.ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			if left--; left == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
