package bus

import (
	"errors"
	"strconv"
	"time"

	"agentbus/pkg/events"
)

// accept decodes entries and queues their events, and says how many those are. What
// is no event becomes a dead letter, after the others are on their way; what repeats
// an admitted event is acknowledged. A pack that was pending before is taken apart, and
// one that is more than this member may have at once, so that others take their part.
func (t *tenure) accept(part int, raw []entry) (n int) {
	ready := make([]*delivery, 0, len(raw))
	var foreign bool
	var waiting []*delivery
	var letters []letter
	for _, en := range raw {
		ds, err := parse(en)
		for _, d := range ds {
			d.part = part
			if err == nil {
				err = t.matchesStream(d.Event, en.stream, part)
			}
		}
		n += len(ds)
		if err != nil { // of one, then of the entry
			ds = ds[:1]
			ds[0].Raw, ds[0].pack = []byte(en.field("data")), nil
		}
		if ds = t.hand.add(ds); len(ds) == 0 {
			continue
		}
		d := ds[0]
		verdict := letter{d, "malformed", err}
		if en.stream == t.names.Replays(t.sub.Group, part) {
			verdict = t.comesBack(d, en, verdict)
		}
		switch {
		case verdict.cause != nil:
			letters = append(letters, verdict)
		case d.pack != nil && (en.recovered || len(ds) > t.sub.Prefetch):
			if d.pack.release(true) {
				t.acks.takeApart(d.pack)
			}
		case d.wait > 0:
			waiting = append(waiting, d)
		default:
			foreign = foreign || d.Seq == 0
			ready = append(ready, ds...)
		}
	}
	if foreign {
		ready = t.adopt(ready, part)
	}
	merge(ready)
	t.bus.metrics.inHand.WithLabelValues(t.sub.Group).Set(float64(t.hand.len()))
	t.lanes.push(ready...)
	for _, d := range waiting {
		t.later(d, d.wait)
	}
	for _, l := range letters {
		t.acks.undertaker.take(l) // a round trip each: reading goes on meanwhile
	}
	return n
}

// comesBack reads what an entry of the group's own stream says besides the event:
// where it stood first, and what became of it there.
func (t *tenure) comesBack(d *delivery, en entry, verdict letter) letter {
	if from := en.field("stream"); from != "" {
		d.origin = entryKey{from, en.field("entry")}
	}
	d.carried, _ = strconv.Atoi(en.field("begun")) // none in a replayed dead letter
	if verdict.cause == nil && en.field("replayed_at") == "" && en.field("class") != "" {
		d.condemned, d.begun = true, d.carried
		return letter{d, en.field("class"), errors.New(en.field("error"))}
	}
	d.begun += d.carried
	if wait, err := strconv.Atoi(en.field("wait")); err == nil && !en.recovered {
		d.wait = time.Duration(wait) * time.Millisecond
	}
	return verdict
}

// matchesStream refuses an event that stands in another type's or partition's
// stream: groups choose by stream, so it would reach the wrong ones.
func (t *tenure) matchesStream(ev events.Event, stream string, part int) error {
	if t.typeOf[stream] == ev.Type && t.names.Partition(ev.WorkflowID) == part || stream == t.names.Replays(t.sub.Group, part) {
		return nil
	}
	want := t.names.Stream(ev.Type, t.names.Partition(ev.WorkflowID))
	return &events.FieldError{Field: "type", Problem: "the event belongs in stream " + want + ", it was added to " + stream}
}
