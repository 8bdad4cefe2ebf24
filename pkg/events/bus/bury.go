package bus

import (
	"context"
	"errors"
	"time"
)

// maxErrorText bounds what a dead letter keeps of an error, a stack included.
const maxErrorText = 4096

// bury moves an entry to the group's dead letters. The letter and the
// acknowledgement are one step; until Redis takes it the entry stays in hand.
func (t *tenure) bury(d *delivery, class string, cause error) {
	text := cause.Error()
	var pan *panicError
	if errors.As(cause, &pan) {
		text += "\n" + string(pan.stack)
	}
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	fields := []any{t.sub.Group, t.bus.cfg.Member, d.EntryID,
		"data", d.Raw, "seq", d.Seq, "stream", d.origin.stream, "entry", d.origin.id, "group", t.sub.Group,
		"member", t.bus.cfg.Member, "class", class, "error", text, "attempts", max(d.begun, 1),
		"event_id", d.Event.ID, "type", string(d.Event.Type), "workflow_id", d.Event.WorkflowID,
		"died_at", time.Now().UTC().Format(time.RFC3339Nano)}
	keys := []string{d.Stream, t.names.DeadLetters(t.sub.Group, d.part)}

	ctx, cancel := context.WithTimeout(context.Background(), publishPatience)
	defer cancel()
	for attempt := 1; ; attempt++ {
		id, err := deadletterScript.Run(ctx, t.bus.rdb, keys, fields...).Text()
		if err == nil {
			t.hand.remove(d)
			if id != "" {
				t.bus.metrics.deadLettered.WithLabelValues(t.sub.Group, class).Inc()
				t.log.Error().Str("class", class).Str("reason", cause.Error()).Str("event", d.Event.ID).Str("workflow", d.Event.WorkflowID).
					Str("stream", d.Stream).Str("entry", d.EntryID).Str("letter", id).Msg("an event became a dead letter")
			}
			return
		}
		if ctx.Err() != nil { // pending still; found again as stranded
			t.hand.remove(d)
			t.log.Error().Err(err).Str("entry", d.EntryID).Msg("a dead letter could not be written; the entry stays pending")
			return
		}
		pause(ctx, backoff(attempt, 20*time.Millisecond, time.Second, jitter))
	}
}
