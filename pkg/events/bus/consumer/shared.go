package consumer

import (
	"context"
	_ "embed" // the script
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// Several events may share an entry: those of one type that were published at the same
// time, where the publisher has BUS_EVENTS_PER_ENTRY above 1. data is a JSON array of
// them then, and seq their numbers. Only this file knows. It is handed out event by
// event and acknowledged when all are handled. When one fails, those that are not
// handled are split off, each into an entry of its own on the group's own stream, where
// attempts, back-off and dead letters are as for any other; so a bad event costs its
// neighbours nothing. One that was pending before it came is split at once: what of it
// had been handled is not known.

//go:embed split.lua
var splitLua string

var splitScript = redis.NewScript(splitLua)

// decode reads an entry's events, one alone into d. An error comes with one delivery that
// stands for the entry.
func decode(en wire.Entry, d *delivery) ([]*delivery, error) {
	if seqs := strings.Fields(en.Field("seq")); len(seqs) > 1 {
		return decodeShared(en, seqs)
	}
	err := decodeOne(en, d)
	return []*delivery{d}, err
}

func decodeShared(en wire.Entry, seqs []string) ([]*delivery, error) {
	ds := make([]*delivery, 0, len(seqs))
	err := events.DecodeList(en.Field("data"), func(e events.Event, raw []byte) error {
		if len(ds) == len(seqs) {
			return &events.FieldError{Field: "seq", Problem: "has fewer numbers than data has events"}
		}
		one := deliveryOf(en)
		d := &one
		d.Event, d.Raw = e, raw
		d.Seq, _ = strconv.ParseInt(seqs[len(ds)], 10, 64)
		if ds = append(ds, d); d.Seq < 1 {
			return &events.FieldError{Field: "seq", Problem: "is " + strconv.Quote(seqs[len(ds)-1]) + " for one of the events; must be a number from 1"}
		}
		return nil
	})
	if err == nil && len(ds) < len(seqs) {
		err = &events.FieldError{Field: "seq", Problem: "has more numbers than data has events"}
	}
	if err != nil {
		whole := deliveryOf(en)
		whole.Raw = []byte(en.Field("data"))
		return []*delivery{&whole}, err
	}
	return ds, nil
}

// sharedEntry is one in flight.
type sharedEntry struct {
	mu     sync.Mutex
	events []*delivery
	open   map[*delivery]struct{} // not settled yet
	failed []letter               // settled, but not handled: to be split off
	gone   bool                   // another member has it
}

// splitter is the settler of events that share an entry; others it hands on.
type splitter struct {
	settlement
	group *group
	limit int // events in flight

	mu   sync.Mutex
	held map[*sharedEntry]struct{}
}

func newSplitter(g *group, s settlement, limit int) *splitter {
	return &splitter{settlement: s, group: g, limit: limit, held: make(map[*sharedEntry]struct{})}
}

// take has the events of an entry handed out: it returns them, or none when the entry is
// split at once, because it was pending before, or has more events than this member may
// have in flight, so that others take their part.
func (s *splitter) take(ds []*delivery) []*delivery {
	if len(ds) == 1 {
		return ds
	}
	entry := &sharedEntry{events: ds, open: make(map[*delivery]struct{}, len(ds))}
	for _, d := range ds {
		d.shared = entry
		entry.open[d] = struct{}{}
	}
	s.mu.Lock()
	s.held[entry] = struct{}{}
	s.mu.Unlock()
	if ds[0].recovered || len(ds) > s.limit {
		entry.release(true)
		s.split(entry)
		return nil
	}
	return ds
}

func (s *splitter) settle(d *delivery, o outcome) {
	entry := d.shared
	switch {
	case entry == nil:
		s.settlement.settle(d, o)
	case o.fate == uncounted: // it stays with the member, see leave
	case o.fate == left:
		entry.mu.Lock()
		entry.gone = true
		entry.mu.Unlock()
		s.forget(entry)
		s.inflight.remove(d.key())
	default:
		switch whole, broken := entry.settle(d, o); {
		case whole:
			s.forget(entry)
			s.acks.add(d.key())
		case broken:
			s.split(entry)
		}
	}
}

// settle notes what became of an event. After the last one the entry is whole, when
// all were handled, or broken.
func (e *sharedEntry) settle(d *delivery, o outcome) (whole, broken bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.open[d]; !open {
		return false, false
	}
	delete(e.open, d)
	if o.fate != handled {
		e.failed = append(e.failed, letter{d, o})
	}
	if len(e.open) > 0 || e.gone {
		return false, false
	}
	return len(e.failed) == 0, len(e.failed) > 0
}

// release settles all events that are open: they have to leave. False when that is
// not needed: there are none, or, unless always, all are, so that the entry may stay
// pending as it is.
func (e *sharedEntry) release(always bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone || len(e.open) == 0 || len(e.open) == len(e.events) && !always {
		return false
	}
	for _, d := range e.events {
		if _, open := e.open[d]; open {
			e.failed = append(e.failed, letter{delivery: d, outcome: outcome{fate: again}})
		}
	}
	clear(e.open)
	return true
}

// leave splits the entries of which some events are handled: those must not be handled
// again when the others are.
func (s *splitter) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for entry := range s.held {
		if entry.release(false) {
			s.acks.do(s.step(entry))
		}
	}
}

func (s *splitter) split(entry *sharedEntry) {
	s.forget(entry)
	s.acks.do(s.step(entry))
}

func (s *splitter) forget(entry *sharedEntry) {
	s.mu.Lock()
	delete(s.held, entry)
	s.mu.Unlock()
}

// step runs split.lua for an entry whose events are all settled.
func (s *splitter) step(entry *sharedEntry) func(context.Context) error {
	d := entry.events[0]
	args := []any{s.group.name, s.group.conn.Member, d.EntryID}
	for _, l := range entry.failed {
		text := ""
		if l.fate == dead {
			text = errorText(l.cause)
		}
		args = append(args, l.Raw, l.Seq, l.begun, l.outcome.wait.Milliseconds(), l.class, text)
	}
	return func(ctx context.Context) error {
		err := splitScript.Run(ctx, s.group.conn.Redis, []string{d.Stream, s.group.replays(d.part)}, args...).Err()
		if err != nil && wire.Transient(err) {
			return err
		}
		s.inflight.remove(d.key())
		return nil
	}
}
