package main

import (
	"context"
	"errors"
	"time"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// heed takes one response of an agent.
func (c *coordinator) heed(ctx context.Context, m consumer.Message) error {
	r, err := events.PayloadOf[events.A2AResponseData](m.Event)
	if err != nil {
		return consumer.Permanent(err)
	}
	if r.To != events.Coordinator {
		return nil // another requester's
	}
	err = c.change(ctx, m.Event.WorkflowID, func(w *workflow, now time.Time) []note {
		return c.machine.respond(w, r, m.Seq, now)
	})
	if errors.Is(err, errUnknown) {
		return nil // kept no longer, or never created here: nobody waits for it
	}
	return err
}

// change is store.change with the outcome counted.
func (c *coordinator) change(ctx context.Context, id string, decide func(*workflow, time.Time) []note) error {
	acted := false
	w, err := c.store.change(ctx, id, func(w *workflow, now time.Time) []note {
		notes := decide(w, now)
		acted = len(notes) > 0
		return notes
	})
	if err == nil && acted && w.State.Final() {
		c.metrics.ended.WithLabelValues(string(w.State)).Inc()
	}
	return err
}
