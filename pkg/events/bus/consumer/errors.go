package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrLost is the cause of a handler's cancelled context when its entry went to another member.
	ErrLost = errors.New("consumer: the lease was lost; another member has the entry")
	// ErrDraining is the cause of a handler's cancelled context when the drain took too long.
	ErrDraining = errors.New("consumer: the member is leaving")
)

// Permanent marks an error that trying again cannot mend: the entry becomes a
// dead letter at once. Nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// Unavailable marks an error of the sink, not of the event: the member stops
// reading, probes with back-off and counts no attempt. Nil stays nil.
func Unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &unavailableError{err}
}

// RetryAfter marks an error of which the handler knows when another attempt makes
// sense, such as a Retry-After of a server it calls: it is made after wait instead of
// the back-off. Attempts count as ever. Nil stays nil.
func RetryAfter(err error, wait time.Duration) error {
	if err == nil {
		return nil
	}
	return &delayedError{err, wait}
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

type unavailableError struct{ error }

func (e *unavailableError) Unwrap() error { return e.error }

type delayedError struct {
	error
	wait time.Duration
}

func (e *delayedError) Unwrap() error { return e.error }

// panicError is a handler's panic as an error; it is retried like any other.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.value) }

// errAbandoned is what becomes of a handler that does not return after its context ended.
var errAbandoned = errors.New("consumer: the handler did not return after its time was up")

// class names the kind of an error for dead letters and metrics: a closed set, with
// "malformed" and "crash" of those that no handler returned.
func class(err error) string {
	var perm *permanentError
	var pan *panicError
	switch {
	case errors.As(err, &pan):
		return "panic"
	case errors.As(err, &perm):
		return "permanent"
	case errors.Is(err, errAbandoned), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "error"
}
