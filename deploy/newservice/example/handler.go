package main

import (
	"context"

	"agentbus/pkg/events/bus/consumer"

	"github.com/rs/zerolog"
)

// handler is what the group does with an event.
type handler struct {
	log zerolog.Logger
}

// handle is called at least once for each event, and its error decides what happens next: nil acknowledges the
// event, [consumer.Permanent] makes it a dead letter at once, [consumer.Unavailable] says that what the service writes to is
// down, and any other error is tried again, a few times.
func (h *handler) handle(_ context.Context, m consumer.Message) error {
	h.log.Info().Str("event", m.Event.ID).Str("type", string(m.Event.Type)).Str("workflow", m.Event.WorkflowID).
		Int64("seq", m.Seq).Msg("handled")
	return nil
}
