package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events/bus/internal/wire"
)

// worker takes batches from the scheduler, has them handled and settles each delivery
// by what the handler says. A member has several.
type worker struct {
	group     *group
	sub       Subscription
	scheduler *scheduler
	breaker   *breaker
	handler   handler
	attempts  attempts
	settler   settler
	acks      *acknowledger
	retries   *retryTimer

	handled prometheus.Counter
	retried *prometheus.CounterVec // by group and class
}

// run works until the scheduler is closed and empty. reading ends when the member
// begins to leave; working carries the handlers.
func (w *worker) run(reading, working context.Context) {
	for {
		batch := w.scheduler.take(w.sub.MaxBatch)
		if batch == nil {
			return
		}
		suspect := batch[0].suspect()
		if working.Err() == nil {
			if pass, probe := w.breaker.enter(reading); pass {
				w.breaker.report(w.runBatch(working, batch, probe))
			}
		}
		w.scheduler.done(batch, suspect)
	}
}

// runBatch returns the error of a sink that is away, nil when it is there. A probe is
// expected to fail.
func (w *worker) runBatch(working context.Context, batch []*delivery, probe bool) (outage error) {
	if batch = w.begin(working, batch, probe); len(batch) == 0 {
		return nil
	}
	messages := make([]Message, len(batch))
	for i, d := range batch {
		messages[i] = d.Message
	}
	var back []*delivery
	errs := w.handler.run(working, messages)
	for i, d := range batch {
		var err error
		if errs != nil {
			err = errs[i]
		}
		o := w.sub.decide(d.begun, err, context.Cause(working), wire.Jitter)
		switch o.fate {
		case uncounted:
			var away *unavailableError
			if errors.As(err, &away) {
				outage = err
			}
			back = append(back, d)
			continue
		case handled:
			w.handled.Inc()
		case again:
			w.retried.WithLabelValues(w.group.name, class(err)).Inc()
			w.group.log.Warn().Err(err).Str("event", d.Event.ID).Str("type", string(d.Event.Type)).Str("workflow", d.Event.WorkflowID).
				Int("attempt", d.begun).Dur("retry_in", o.wait).Msg("handling an event failed; it is tried again")
		}
		w.settler.settle(d, o)
	}
	if slices.ContainsFunc(batch, func(d *delivery) bool { return d.recovered }) {
		w.acks.flush() // a neighbour of a suspect must not be begun again
	}
	w.release(working, back)
	return outage
}

// begin counts the attempt. The first of a fresh entry was counted when it was
// read; later ones are written down before they run, so that a handler which
// kills its process runs out of attempts too. Those of a probe would be taken
// back: only suspects' are counted, so that a member which is killed while its
// sink is away leaves nothing counted behind.
func (w *worker) begin(ctx context.Context, batch []*delivery, probe bool) []*delivery {
	uncounted := func(d *delivery) bool { return d.fresh() || probe && !d.suspect() }
	var counting []*delivery
	open := make([]*delivery, 0, len(batch))
	for _, d := range batch {
		if d.begun >= w.sub.MaxDeliveries {
			w.settler.settle(d, outcome{fate: dead, class: "crash", unasked: true,
				cause: fmt.Errorf("attempt %d did not end: its member died or stood still", d.begun)})
			continue
		}
		if !uncounted(d) {
			counting = append(counting, d)
		}
		open = append(open, d)
	}
	ours := w.attempts.count(ctx, counting, 1)
	ready := open[:0]
	for _, d := range open {
		switch held, known := ours[d]; {
		case uncounted(d) || held:
			d.begun++
			d.Attempt = d.begun
			ready = append(ready, d)
		case known:
			w.settler.settle(d, outcome{fate: left})
		default: // Redis is away: try the entry again a little later
			w.retries.after(wire.Backoff(1, w.sub.BackoffMin, w.sub.BackoffMax, wire.Jitter), d)
		}
	}
	return ready
}

// release takes attempts back that do not count: into the queue while the member
// stays, into Redis in any case. Were it told when the member leaves only, one
// that is killed in an outage of its sink would leave the attempts counted, and
// events would become dead letters for the outage.
func (w *worker) release(working context.Context, ds []*delivery) {
	if len(ds) == 0 {
		return
	}
	for _, d := range ds {
		d.begun--
		d.recovered = true // from here on each of its attempts is written down
	}
	ours := w.attempts.count(working, ds, 0)
	var keep []*delivery
	for _, d := range ds {
		switch held, known := ours[d]; {
		case known && !held:
			w.settler.settle(d, outcome{fate: left})
		case context.Cause(working) == nil:
			keep = append(keep, d)
		default:
			w.settler.settle(d, outcome{fate: uncounted})
		}
	}
	w.scheduler.push(keep...)
}
