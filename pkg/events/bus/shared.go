package bus

import (
	_ "embed" // the script

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

//go:embed shared.lua
var sharedLua string

var sharedScript = wire.AdmitScript(sharedLua)

// maxSharedBytes bounds the events of one entry: Redis, and every reader, handles an
// entry as a whole.
const maxSharedBytes = 32 << 10

// sharedEntry is an entry to be: the events of one type that stand in it.
type sharedEntry struct {
	docs  [][]byte
	bytes int
}

// entriesShared has up to limit events of a type share an entry: data is a JSON array of
// them, unless it is one alone. What reads them is consumer/shared.go.
func entriesShared(names events.Naming, limit int) layout {
	return func(a wire.Admission, items []item) wire.Admission {
		var entries []*sharedEntry
		entryOf := make([]byte, len(items))
		open := make(map[events.Type]int) // the entry that takes more, from 1
		for i, it := range items {
			e := open[it.typ]
			if e == 0 || len(entries[e-1].docs) >= limit || entries[e-1].bytes+len(it.data) > maxSharedBytes {
				entries = append(entries, &sharedEntry{})
				a.Streams = append(a.Streams, names.Stream(it.typ, it.part))
				e = len(entries)
				open[it.typ] = e
			}
			entry := entries[e-1]
			entry.docs, entry.bytes = append(entry.docs, it.data), entry.bytes+len(it.data)
			entryOf[i] = byte(e - 1) //nolint:gosec // at most wire.MaxBatch
		}
		a.Script = sharedScript
		for _, e := range entries {
			a.Data = append(a.Data, e.data())
		}
		a.Data = append(a.Data, entryOf)
		return a
	}
}

// data is the entry's field of that name: an event, or an array of them.
func (e *sharedEntry) data() []byte {
	if len(e.docs) == 1 {
		return e.docs[0]
	}
	out := make([]byte, 0, e.bytes+len(e.docs)+1)
	for i, doc := range e.docs {
		between := byte(',')
		if i == 0 {
			between = '['
		}
		out = append(append(out, between), doc...)
	}
	return append(out, ']')
}
