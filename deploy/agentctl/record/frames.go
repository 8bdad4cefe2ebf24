package record

import (
	"context"
	"fmt"
	"sync"

	"agentbus/deploy/agentctl/live"
	"agentbus/pkg/events"
)

// Frames collects what one WebSocket connection is told of a workflow. Its methods may be called from
// any goroutine.
type Frames struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu   sync.Mutex
	list []events.Event
	seqs []int64
	gaps int
	err  error
}

// Collect connects and collects from the workflow's first event on, until Close. A connection that is
// lost is made again, as any client does it; base is asked each time where.
func Collect(ctx context.Context, base func() string, workflowID string) *Frames {
	return CollectAs(ctx, base, "", workflowID)
}

// CollectAs is [Collect] with a bearer token, for servers that ask for one.
func CollectAs(ctx context.Context, base func() string, token, workflowID string) *Frames {
	ctx, cancel := context.WithCancel(ctx)
	f := &Frames{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(f.ended)
		err := live.Follow(ctx, base, token, workflowID, func(frame live.Frame) bool {
			f.add(frame)
			return true
		})
		f.mu.Lock()
		f.err = err
		f.mu.Unlock()
	}()
	return f
}

func (f *Frames) add(frame live.Frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch frame.Type {
	case "event":
		f.list, f.seqs = append(f.list, frame.Event), append(f.seqs, frame.Seq)
	case "gap":
		f.gaps++
	}
}

// Events are those received so far, in the order they came.
func (f *Frames) Events() []events.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]events.Event(nil), f.list...)
}

// Check tells whether what came was in order: 1, 2, 3 and so on, without a gap.
func (f *Frames) Check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, seq := range f.seqs {
		if seq != int64(i+1) {
			return fmt.Errorf("frame %d has the number %d", i+1, seq)
		}
	}
	if f.gaps > 0 {
		return fmt.Errorf("%d gaps were told", f.gaps)
	}
	return f.err
}

// Close ends the connection.
func (f *Frames) Close() {
	f.cancel()
	<-f.ended
}
