package wire

import (
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
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
	Fields    []any // names and values in turn, strings
	Begun     int   // deliveries so far, as the pending list counts them
	Recovered bool  // it was pending before it came
}

// Lookup is the entry's field of that name; of several the last, as others read it.
func (e Entry) Lookup(name string) (value string, ok bool) {
	for i := len(e.Fields) - 2; i >= 0; i -= 2 {
		if e.Fields[i] == name {
			value, ok = e.Fields[i+1].(string)
			return value, ok
		}
	}
	return "", false
}

// Field is the entry's field of that name; "" where it has none.
func (e Entry) Field(name string) string {
	value, _ := e.Lookup(name)
	return value
}

// NewEntry is an entry as go-redis returns it.
func NewEntry(stream string, m redis.XMessage) Entry {
	e := Entry{EntryKey: EntryKey{Stream: stream, ID: m.ID}}
	for name, value := range m.Values {
		e.Fields = append(e.Fields, name, value)
	}
	return e
}

// Pending is an entry of a pending list with its deliveries so far.
type Pending struct {
	EntryKey
	Begun int
}
