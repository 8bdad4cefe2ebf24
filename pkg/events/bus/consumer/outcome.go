package consumer

import (
	"errors"
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// outcome is what becomes of a delivery.
type outcome struct {
	fate  fate
	wait  time.Duration // again
	class string        // dead
	cause error         // again and dead
	// unasked: the handler was not asked, so who reads the entry again comes to the
	// same verdict.
	unasked bool
}

type fate int

const (
	handled   fate = iota
	again          // another attempt, after wait
	dead           // a dead letter
	uncounted      // the attempt does not count: the sink is away, or the member leaves
	left           // not this member's any more, or left pending for others
)

// decide is the table of the package comment: what the handler says, what becomes of
// the delivery. cause is why the handlers' context ended, nil while it has not.
func (s Subscription) decide(begun int, err, cause error, rnd func() float64) outcome {
	var perm *permanentError
	var away *unavailableError
	var delayed *delayedError
	switch {
	case err == nil:
		return outcome{fate: handled}
	case errors.Is(cause, ErrLost):
		return outcome{fate: left}
	case errors.As(err, &perm):
		return outcome{fate: dead, class: class(err), cause: err}
	case errors.As(err, &away), errors.Is(cause, ErrDraining):
		return outcome{fate: uncounted}
	case begun >= s.MaxDeliveries:
		return outcome{fate: dead, class: class(err), cause: err}
	case errors.As(err, &delayed):
		return outcome{fate: again, wait: delayed.wait, cause: err}
	}
	return outcome{fate: again, wait: wire.Backoff(begun, s.BackoffMin, s.BackoffMax, rnd), cause: err}
}
