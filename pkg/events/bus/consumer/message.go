package consumer

import (
	"strconv"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// Message is one delivery of an event to a handler.
type Message struct {
	Event   events.Event
	Seq     int64  // the event's number in its workflow, from 1; 0 from [Tail] and [Messages] for an entry not admitted yet
	Stream  string // where it stands
	EntryID string // "<ms>-<n>", by the Redis server's clock
	Attempt int    // 1 for the first
	Raw     []byte // the event's JSON as it came; not to be changed
}

// Messages reads the events of a stream entry, for who reads streams outside of any
// group: one event, or several where the publisher has them share entries. Seq is 0
// in an entry that others added and no group has read yet. What is no event is a
// [events.FieldError].
func Messages(stream string, m redis.XMessage) ([]Message, error) {
	ds, err := decode(wire.NewEntry(stream, m), new(delivery))
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

// decodeOne reads the event of an entry that has one into d.
func decodeOne(en wire.Entry, d *delivery) error {
	*d = deliveryOf(en)
	data, ok := en.Lookup("data")
	if !ok {
		return &events.FieldError{Field: "data", Problem: "the entry has no such field; add the event with XADD " + en.Stream + " * data '<json>'"}
	}
	var err error
	d.Event, d.Raw, err = events.DecodeText(data)
	if n, e := strconv.ParseInt(en.Field("seq"), 10, 64); e == nil && n > 0 {
		d.Seq = n
	}
	return err
}
