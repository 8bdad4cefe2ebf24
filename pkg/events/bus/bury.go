package bus

import (
	"context"
	"errors"
	"time"
)

// maxErrorText bounds what a dead letter keeps of an error, a stack included.
const maxErrorText = 4096

// letter is an entry on its way to the dead letters, and why.
type letter struct {
	*delivery
	class string
	cause error
}

// bury moves an entry to the group's dead letters. The letter and the
// acknowledgement are one step; until Redis takes it the entry stays pending. Nobody
// waits for that: what cannot be written at once is left to the [undertaker].
func (t *tenure) bury(d *delivery, class string, cause error) {
	l := letter{d, class, cause}
	if d.pack != nil {
		t.settled(d, &leftover{letter: l})
		return
	}
	if t.acks.undertaker.busy() || t.write(l) != nil {
		t.acks.undertaker.take(l)
	}
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

// write stores the letter and acknowledges the entry, once.
func (t *tenure) write(l letter) error {
	fields := []any{t.sub.Group, t.bus.cfg.Member, l.EntryID,
		"data", l.Raw, "seq", l.Seq, "stream", l.origin.stream, "entry", l.origin.id, "group", t.sub.Group,
		"member", t.bus.cfg.Member, "class", l.class, "error", errorText(l.cause), "attempts", max(l.begun, 1),
		"event_id", l.Event.ID, "type", string(l.Event.Type), "workflow_id", l.Event.WorkflowID,
		"died_at", time.Now().UTC().Format(time.RFC3339Nano)}
	keys := []string{l.Stream, t.names.DeadLetters(t.sub.Group, l.part)}

	ctx, cancel := context.WithTimeout(context.Background(), ackPatience)
	defer cancel()
	id, err := deadletterScript.Run(ctx, t.bus.rdb, keys, fields...).Text()
	if err != nil {
		return err
	}
	t.hand.remove(l.delivery)
	if id != "" {
		t.bus.metrics.deadLettered.WithLabelValues(t.sub.Group, l.class).Inc()
		t.log.Error().Str("class", l.class).Str("reason", l.cause.Error()).Str("event", l.Event.ID).Str("workflow", l.Event.WorkflowID).
			Str("stream", l.Stream).Str("entry", l.EntryID).Str("letter", id).Msg("an event became a dead letter")
	}
	return nil
}
