package bus

import (
	"fmt"
	"strconv"
	"strings"

	"agentbus/pkg/events"
)

// batch is what one call of publish.lua admits: events of one partition, each with
// another id, and the entries they go into.
type batch struct {
	index   []int // of each among the caller's items
	items   []item
	class   Durability
	entries []*sharedEntry
	entryOf []byte // by item
}

// sharedEntry is an entry to be: the events of one type that stand in it.
type sharedEntry struct {
	stream string
	docs   [][]byte
	bytes  int
}

// maxEntryBytes bounds the events of one entry: Redis, and every reader, handles an
// entry as a whole.
const maxEntryBytes = 32 << 10

// newBatch makes one of those items that index names, at most maxBatch.
func newBatch(b *Bus, items []item, index []int) *batch {
	out := &batch{index: index, items: make([]item, len(index)), entryOf: make([]byte, len(index))}
	open := make(map[events.Type]int) // the entry that takes more, from 1
	for i, at := range index {
		it := items[at]
		out.items[i] = it
		e := open[it.typ]
		if e == 0 || len(out.entries[e-1].docs) >= b.cfg.EventsPerEntry || out.entries[e-1].bytes+len(it.data) > maxEntryBytes {
			out.entries = append(out.entries, &sharedEntry{stream: b.names.Stream(it.typ, it.part)})
			e = len(out.entries)
			open[it.typ] = e
		}
		entry := out.entries[e-1]
		entry.docs, entry.bytes = append(entry.docs, it.data), entry.bytes+len(it.data)
		out.entryOf[i] = byte(e - 1) //nolint:gosec // at most maxBatch
	}
	out.class = b.classes.of(out.items)
	return out
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

// read turns the reply of publish.lua into receipts.
func (ba *batch) read(reply []any, receipts []Receipt) (known bool, err error) {
	texts := make([]string, len(reply))
	for i, v := range reply {
		texts[i], _ = v.(string)
	}
	switch {
	case len(texts) == 2 && texts[0] == "conflict":
		return false, ErrConflict
	case len(texts) == 1+len(ba.items) && texts[0] == "known":
		for i, text := range texts[1:] {
			if seq, id, found := strings.Cut(text, " "); found {
				receipts[ba.index[i]] = ba.receipt(i, seq, id)
				receipts[ba.index[i]].Duplicate = true
			}
		}
		return true, nil
	case len(texts) == 2+len(ba.entries) && texts[0] == "ok":
		rest := texts[1]
		for i := range ba.items {
			var seq string
			seq, rest, _ = strings.Cut(rest, " ")
			receipts[ba.index[i]] = ba.receipt(i, seq, texts[2+ba.entryOf[i]])
		}
		return false, nil
	}
	return false, fmt.Errorf("publish: an answer of %d values for %d events in %d entries", len(reply), len(ba.items), len(ba.entries))
}

func (ba *batch) receipt(i int, seq, entryID string) Receipt {
	n, _ := strconv.ParseInt(seq, 10, 64) // as the script wrote it
	return Receipt{Stream: ba.entries[ba.entryOf[i]].stream, EntryID: entryID, Seq: n}
}
