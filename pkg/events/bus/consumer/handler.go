package consumer

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// abandonAfter is how long a handler may go on after its context has ended
// before its worker leaves it behind.
const abandonAfter = 5 * time.Second

// handler runs the subscription's handler with its time limit, turns a panic into an
// error, and leaves behind one that does not return.
type handler struct {
	log     zerolog.Logger
	handle  func(context.Context, []Message) []error
	limit   time.Duration
	seconds prometheus.Observer
}

// run returns one error, or nil, per message; nil when all went well.
func (h handler) run(working context.Context, messages []Message) []error {
	defer func(start time.Time) { h.seconds.Observe(time.Since(start).Seconds()) }(time.Now())
	ctx, cancel := context.WithTimeout(working, h.limit)
	defer cancel()
	done := make(chan []error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- all(len(messages), &panicError{value: v, stack: debug.Stack()})
			}
		}()
		done <- h.handle(ctx, messages)
	}()
	errs := h.await(ctx, done, messages)
	if errs != nil && len(errs) != len(messages) {
		return all(len(messages), fmt.Errorf("HandleBatch returned %d errors for %d messages", len(errs), len(messages)))
	}
	return errs
}

func (h handler) await(ctx context.Context, done <-chan []error, messages []Message) []error {
	select {
	case errs := <-done:
		return errs
	case <-ctx.Done():
	}
	timer := time.NewTimer(abandonAfter)
	defer timer.Stop()
	select {
	case errs := <-done:
		return errs
	case <-timer.C:
		h.log.Error().Str("event", messages[0].Event.ID).Msg("a handler does not return though its context has ended; it is left behind")
		return all(len(messages), errAbandoned)
	}
}

func all(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
