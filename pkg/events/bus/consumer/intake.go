package consumer

import (
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// intake turns entries into deliveries and queues them, whether they were just read or
// were pending before.
type intake struct {
	group     *group
	inflight  *inflight
	scheduler *scheduler
	splitter  *splitter
	foreign   *foreignAdmitter
	letters   *deadLetterWriter
	retries   *retryTimer
}

// accept takes entries of one partition and says how many events they hold. What is no
// event becomes a dead letter, after the others are on their way; what repeats an
// admitted event is acknowledged.
func (in *intake) accept(part int, entries []wire.Entry) (events int) {
	ready := make([]*delivery, 0, len(entries))
	room := make([]delivery, len(entries)) // at once: they live about as long as each other
	var waiting []*delivery
	var letters []letter
	for i, en := range entries {
		ds, verdict, final := in.read(part, en, &room[i])
		events += len(ds)
		if !in.inflight.add(en.EntryKey, len(ds)) {
			continue
		}
		switch {
		case final:
			letters = append(letters, letter{ds[0], verdict})
		case ds[0].wait > 0:
			waiting = append(waiting, ds[0])
		default:
			ready = append(ready, in.splitter.take(ds)...)
		}
	}
	ready = in.foreign.admit(ready, part)
	merge(ready)
	in.scheduler.push(ready...)
	for _, d := range waiting {
		in.retries.after(d.wait, d)
	}
	for _, l := range letters {
		in.letters.add(l) // a round trip each: reading goes on meanwhile
	}
	return events
}

// read makes an entry's deliveries; final means that it is a dead letter already, of
// which one delivery stands for the entry.
func (in *intake) read(part int, en wire.Entry, d *delivery) (ds []*delivery, verdict outcome, final bool) {
	ds, err := decode(en, d)
	for _, d := range ds {
		d.part = part
		if err == nil {
			err = in.misplaced(d.Event, en.Stream, part)
		}
	}
	if err != nil {
		ds = ds[:1]
		ds[0].Raw = []byte(en.Field("data"))
		verdict, final = outcome{fate: dead, class: "malformed", cause: err, unasked: true}, true
	}
	if en.Stream == in.group.replays(part) {
		if before, was := returned(ds[0], en); was && !final {
			return ds, before, true
		}
	}
	return ds, verdict, final
}

// misplaced refuses an event that stands in another type's or partition's stream:
// groups choose by stream, so it would reach the wrong ones.
func (in *intake) misplaced(ev events.Event, stream string, part int) error {
	names := in.group.conn.Names
	if in.group.typeOf[stream] == ev.Type && names.Partition(ev.WorkflowID) == part || stream == in.group.replays(part) {
		return nil
	}
	want := names.Stream(ev.Type, names.Partition(ev.WorkflowID))
	return &events.FieldError{Field: "type", Problem: "the event belongs in stream " + want + ", it was added to " + stream}
}
