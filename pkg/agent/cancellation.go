package agent

import (
	"context"
	"sync"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// maxCancelled bounds how many cancelled workflows are remembered.
const maxCancelled = 10_000

// cancellations tells tasks that their workflow has ended without them: it was
// cancelled, or has failed (its time was over). Every member hears of every one, outside of its group, since any member may have the task;
// those of the time before it came are remembered for requests still to come.
type cancellations struct {
	mu      sync.Mutex
	reasons map[string]*Failure // by workflow
	order   []string
	tasks   map[string]map[*context.CancelCauseFunc]struct{}
}

func newCancellations() *cancellations {
	return &cancellations{reasons: map[string]*Failure{}, tasks: map[string]map[*context.CancelCauseFunc]struct{}{}}
}

// ends are the events that stop tasks.
func (c *cancellations) ends() []events.Type {
	return []events.Type{events.WorkflowCancelled, events.WorkflowFailed}
}

// heed is told of such an event.
func (c *cancellations) heed(m consumer.Message) error {
	reason := "the workflow was cancelled"
	if m.Event.Type == events.WorkflowFailed {
		reason = "the workflow has failed"
		if data, err := events.PayloadOf[events.WorkflowFailedData](m.Event); err == nil {
			reason += ": " + clip(data.Reason, 500)
		}
	} else if data, err := events.PayloadOf[events.WorkflowCancelledData](m.Event); err == nil {
		reason += ": " + clip(data.Reason, 500)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := m.Event.WorkflowID
	if c.reasons[id] == nil {
		c.order = append(c.order, id)
	}
	c.reasons[id] = &Failure{Code: CodeCancelled, Reason: reason}
	if len(c.order) > maxCancelled {
		delete(c.reasons, c.order[0])
		c.order = c.order[1:]
	}
	for cancel := range c.tasks[id] {
		(*cancel)(c.reasons[id])
	}
	return nil
}

// watch ends the returned context when the workflow is, or was, cancelled.
func (c *cancellations) watch(ctx context.Context, workflow string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.reasons[workflow]; f != nil {
		cancel(f)
	}
	if c.tasks[workflow] == nil {
		c.tasks[workflow] = map[*context.CancelCauseFunc]struct{}{}
	}
	c.tasks[workflow][&cancel] = struct{}{}
	return ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if delete(c.tasks[workflow], &cancel); len(c.tasks[workflow]) == 0 {
			delete(c.tasks, workflow)
		}
		cancel(nil)
	}
}
