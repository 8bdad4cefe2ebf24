package wire

import (
	"strconv"
	"strings"
)

// EntryKey names an entry over all streams.
type EntryKey struct {
	Stream string
	ID     string // "<ms>-<n>", by the Redis server's clock
}

// MS is the time part of the entry's id, in Unix milliseconds.
func (k EntryKey) MS() int64 {
	ms, _, _ := strings.Cut(k.ID, "-")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return n
}

// Entry is what a stream holds, before it is known to be an event.
type Entry struct {
	EntryKey
	Fields    map[string]any
	Begun     int  // deliveries so far, as the pending list counts them
	Recovered bool // it was pending before it came
}

// Field is the entry's field of that name; "" where it has none.
func (e Entry) Field(name string) string {
	s, _ := e.Fields[name].(string)
	return s
}

// Pending is an entry of a pending list with its deliveries so far.
type Pending struct {
	EntryKey
	Begun int
}
