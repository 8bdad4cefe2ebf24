package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrClosed is returned by calls on a Bus that was closed. A bug in the caller's order of shutdown.
	ErrClosed = errors.New("bus: closed")
	// ErrConflict is returned by [Bus.Commit] when the state has another revision: load it again and decide anew.
	ErrConflict = errors.New("bus: the state was changed by somebody else")
	// ErrNotFound is returned where a dead letter or group that was named is not there.
	ErrNotFound = errors.New("bus: not found")
	// ErrInUse is returned by [Bus.RemoveGroup] while a member of the group lives, or while it has dead letters: stop the member, replay or drop the letters.
	ErrInUse = errors.New("bus: the group is in use")
	// ErrServer is returned by [Open] when the Redis server cannot keep the bus's promises; the text says which setting to change.
	ErrServer = errors.New("bus: the Redis server is not fit")
	// ErrLost is the cause of a handler's cancelled context when its entry went to another member.
	ErrLost = errors.New("bus: the lease was lost; another member has the entry")
	// ErrDraining is the cause of a handler's cancelled context when the drain took too long.
	ErrDraining = errors.New("bus: the member is leaving")
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

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

type unavailableError struct{ error }

func (e *unavailableError) Unwrap() error { return e.error }

// panicError is a handler's panic as an error; it is retried like any other.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.value) }

// errAbandoned is what becomes of a handler that does not return after its context ended.
var errAbandoned = errors.New("bus: the handler did not return after its time was up")

// class names the kind of an error for dead letters and metrics: a closed set.
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

// transient reports whether Redis may answer the same call well a little later.
func transient(err error) bool {
	if err == nil || errors.Is(err, redis.ErrClosed) {
		return false
	}
	if errors.Is(err, errNotDurable) {
		return true
	}
	var ne net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &ne) || errors.Is(err, redis.ErrPoolTimeout) {
		return true
	}
	var re redis.Error
	if !errors.As(err, &re) {
		return false
	}
	for _, code := range []string{"LOADING", "READONLY", "OOM", "MISCONF", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "NOREPLICAS", "BUSY", "MOVED", "ASK"} {
		if strings.HasPrefix(re.Error(), code) {
			return true
		}
	}
	return false
}
