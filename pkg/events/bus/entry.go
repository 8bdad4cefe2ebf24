package bus

import (
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// MessagesOf reads the events of a stream entry: one, or several that were admitted
// together and share it. Seq is 0 in an entry that others added and no group has
// read yet. What is no event is a [events.FieldError].
func MessagesOf(stream string, m redis.XMessage) ([]Message, error) {
	ds, err := parse(entry{stream: stream, id: m.ID, values: m.Values})
	if err != nil {
		return nil, err
	}
	out := make([]Message, len(ds))
	for i, d := range ds {
		out[i] = d.Message
		out[i].Attempt = 1
	}
	return out, nil
}

// entry is what Redis holds, before it is known to be an event.
type entry struct {
	stream, id string
	values     map[string]any
	begun      int  // deliveries so far
	recovered  bool // pending before
}

func (en entry) field(name string) string {
	s, _ := en.values[name].(string)
	return s
}

// parse reads an entry's events. An error comes with one delivery that stands for
// the entry.
func parse(en entry) ([]*delivery, error) {
	data, ok := en.values["data"].(string)
	if !ok {
		return one(en), &events.FieldError{Field: "data", Problem: "the entry has no such field; add the event with XADD " + en.stream + " * data '<json>'"}
	}
	if seqs := strings.Fields(en.field("seq")); len(seqs) > 1 {
		return parseShared(en, data, seqs)
	}
	ds := one(en)
	var err error
	ds[0].Event, ds[0].Raw, err = events.DecodeText(data)
	if n, e := strconv.ParseInt(en.field("seq"), 10, 64); e == nil && n > 0 {
		ds[0].Seq = n
	}
	return ds, err
}

func parseShared(en entry, data string, seqs []string) ([]*delivery, error) {
	ds := deliveries(en, len(seqs))
	p := &pack{open: len(ds), events: ds}
	n := 0
	err := events.DecodeList(data, func(e events.Event, raw []byte) error {
		if n == len(ds) {
			return &events.FieldError{Field: "seq", Problem: "has fewer numbers than data has events"}
		}
		d := ds[n]
		d.Event, d.Raw, d.pack = e, raw, p
		d.Seq, _ = strconv.ParseInt(seqs[n], 10, 64)
		if n++; d.Seq < 1 {
			return &events.FieldError{Field: "seq", Problem: "is " + strconv.Quote(seqs[n-1]) + " for one of the events; must be a number from 1"}
		}
		return nil
	})
	if err == nil && n < len(ds) {
		err = &events.FieldError{Field: "seq", Problem: "has more numbers than data has events"}
	}
	if err != nil {
		ds = one(en)
		ds[0].Raw = []byte(data)
	}
	return ds, err
}

func one(en entry) []*delivery { return deliveries(en, 1) }

// deliveries makes those of an entry, still without their events.
func deliveries(en entry, n int) []*delivery {
	all, ds := make([]delivery, n), make([]*delivery, n) // they live about as long as each other
	ms := entryMS(en.id)
	for i := range all {
		d := &all[i]
		d.begun, d.recovered, d.ms = en.begun, en.recovered, ms
		d.Stream, d.EntryID = en.stream, en.id
		d.origin = d.key()
		ds[i] = d
	}
	return ds
}
