package main

import (
	"context"

	"github.com/rs/zerolog"

	"agentbus/pkg/events/bus"
)

// handler is what the group does with an event.
type handler struct {
	log zerolog.Logger
}

// handle is called at least once for each event, and its error decides what happens next: nil acknowledges the
// event, [bus.Permanent] makes it a dead letter at once, [bus.Unavailable] says that what the service writes to is
// down, and any other error is tried again, a few times.
func (h *handler) handle(_ context.Context, m bus.Message) error {
	h.log.Info().Str("event", m.Event.ID).Str("type", string(m.Event.Type)).Str("workflow", m.Event.WorkflowID).
		Int64("seq", m.Seq).Msg("handled")
	return nil
}
