package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// abandonAfter is how long a handler may go on after its context has ended
// before its worker leaves it behind.
const abandonAfter = 5 * time.Second

// work runs batches until the lanes are closed and empty. reading ends when the
// member begins to leave; working carries the handlers.
func (t *tenure) work(reading, working context.Context) {
	for {
		batch := t.lanes.take(t.sub.MaxBatch)
		if batch == nil {
			return
		}
		suspect := batch[0].suspect()
		if working.Err() == nil {
			if pass, probe := t.gate.enter(reading); pass {
				t.runBatch(working, batch, probe)
			}
		}
		t.lanes.done(batch, suspect)
	}
}

// runBatch hands a batch to the handler and settles each message by its error.
// A probe is expected to fail.
func (t *tenure) runBatch(working context.Context, batch []*delivery, probe bool) {
	batch = t.begin(working, batch, probe)
	if len(batch) == 0 {
		t.gate.report(nil)
		return
	}
	messages := make([]Message, len(batch))
	for i, d := range batch {
		messages[i] = d.Message
	}
	start := time.Now()
	errs := t.call(working, messages)
	t.handlerSeconds.Observe(time.Since(start).Seconds())

	var outage error
	var back []*delivery
	for i, d := range batch {
		var un *unavailableError
		if errs != nil && errors.As(errs[i], &un) {
			outage = errs[i]
		}
		if t.settle(working, d, errOf(errs, i)) {
			back = append(back, d)
		}
	}
	if slices.ContainsFunc(batch, func(d *delivery) bool { return d.recovered }) {
		t.acks.flush() // a neighbour of a suspect must not be begun again
	}
	t.release(working, back)
	t.gate.report(outage)
}

func errOf(errs []error, i int) error {
	if errs == nil {
		return nil
	}
	return errs[i]
}

// call runs the handler with its time limit, turns a panic into an error, and
// leaves behind a handler that does not return.
func (t *tenure) call(working context.Context, messages []Message) []error {
	ctx, cancel := context.WithTimeout(working, t.sub.HandlerTimeout)
	defer cancel()
	done := make(chan []error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- all(len(messages), &panicError{value: v, stack: debug.Stack()})
			}
		}()
		done <- t.sub.HandleBatch(ctx, messages)
	}()
	var errs []error
	select {
	case errs = <-done:
	case <-ctx.Done():
		timer := time.NewTimer(abandonAfter)
		defer timer.Stop()
		select {
		case errs = <-done:
		case <-timer.C:
			t.log.Error().Str("event", messages[0].Event.ID).Msg("a handler does not return though its context has ended; it is left behind")
			return all(len(messages), errAbandoned)
		}
	}
	if errs != nil && len(errs) != len(messages) {
		return all(len(messages), fmt.Errorf("HandleBatch returned %d errors for %d messages", len(errs), len(messages)))
	}
	return errs
}

func all(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// settle is the table of the design: what the handler says, what the bus does.
// True means that the attempt does not count: the entry is to be released.
func (t *tenure) settle(working context.Context, d *delivery, err error) (release bool) {
	var perm *permanentError
	var un *unavailableError
	switch {
	case err == nil:
		t.handled.Inc()
		if d.pack != nil {
			t.settled(d, nil)
		} else {
			t.acks.add(d)
		}
	case errors.Is(context.Cause(working), ErrLost):
		t.hand.remove(d)
	case errors.As(err, &perm):
		t.bury(d, class(err), err)
	case errors.As(err, &un):
		return true
	case errors.Is(context.Cause(working), ErrDraining):
		return true
	case d.begun >= t.sub.MaxDeliveries:
		t.bury(d, class(err), err)
	default:
		t.bus.metrics.retried.WithLabelValues(t.sub.Group, class(err)).Inc()
		wait := backoff(d.begun, t.sub.BackoffMin, t.sub.BackoffMax, jitter)
		t.log.Warn().Err(err).Str("event", d.Event.ID).Str("type", string(d.Event.Type)).Str("workflow", d.Event.WorkflowID).
			Int("attempt", d.begun).Dur("retry_in", wait).Msg("handling an event failed; it is tried again")
		if d.pack != nil {
			t.settled(d, &leftover{letter{delivery: d}, wait})
		} else {
			t.later(d, wait)
		}
	}
	return false
}

// later queues the entry again after wait.
func (t *tenure) later(d *delivery, wait time.Duration) {
	t.hand.setWaiting(1)
	t.retries.after(wait, func() {
		t.hand.setWaiting(-1)
		t.lanes.push(d)
	})
}

// retries are the timers of waiting entries. Once stopped none fires: what
// waits then stays pending for the group.
type retries struct {
	mu      sync.Mutex
	stopped bool
}

func (r *retries) after(wait time.Duration, f func()) {
	time.AfterFunc(wait, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.stopped {
			f()
		}
	})
}

func (r *retries) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
}
