package bus

import "errors"

var (
	// ErrClosed is returned by calls on a Bus that was closed. A bug in the caller's order of shutdown.
	ErrClosed = errors.New("bus: closed")
	// ErrConflict is returned by [Bus.Commit] when the state has another revision: load it again and decide anew.
	ErrConflict = errors.New("bus: the state was changed by somebody else")
	// ErrServer is returned by [Open] when the Redis server cannot keep the bus's promises; the text says which setting to change.
	ErrServer = errors.New("bus: the Redis server is not fit")
)
