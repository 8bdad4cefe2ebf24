package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events/bus/internal/wire"
)

// maxErrorText bounds what a dead letter keeps of an error, a stack included.
const maxErrorText = 4096

// letter is an entry on its way to the dead letters, and why.
type letter struct {
	*delivery
	outcome
}

// errorText is what is kept of an error.
func errorText(err error) string {
	text := err.Error()
	var pan *panicError
	if errors.As(err, &pan) {
		text += "\n" + string(pan.stack)
	}
	return text[:min(len(text), maxErrorText)]
}

// deadLetters stores letters: the letter and the acknowledgement are one step.
type deadLetters struct {
	group    *group
	inflight *inflight
	written  *prometheus.CounterVec // by group and class
}

// write stores the letter and acknowledges the entry, once.
func (dl deadLetters) write(l letter) error {
	g := dl.group
	ctx, cancel := context.WithTimeout(context.Background(), wire.WriteTimeout)
	defer cancel()
	id, err := g.conn.DeadLetter(ctx, g.name, l.part, l.key(),
		"data", l.Raw, "seq", l.Seq, "stream", l.origin.Stream, "entry", l.origin.ID, "group", g.name,
		"member", g.conn.Member, "class", l.class, "error", errorText(l.cause), "attempts", max(l.begun, 1),
		"event_id", l.Event.ID, "type", string(l.Event.Type), "workflow_id", l.Event.WorkflowID,
		"died_at", time.Now().UTC().Format(time.RFC3339Nano))
	if err != nil {
		return err
	}
	dl.inflight.remove(l.key())
	if id != "" {
		dl.written.WithLabelValues(g.name, l.class).Inc()
		g.log.Error().Str("class", l.class).Str("reason", l.cause.Error()).Str("event", l.Event.ID).Str("workflow", l.Event.WorkflowID).
			Str("stream", l.Stream).Str("entry", l.EntryID).Str("letter", id).Msg("an event became a dead letter")
	}
	return nil
}
