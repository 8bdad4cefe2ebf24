package consumer

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// inflight is what a member holds: every entry read and not yet acknowledged,
// dead-lettered or lost. It bounds reading and tells stranded entries from held ones.
//
// The bound is counted in events and shared by all types. So that one type which
// comes in masses does not keep the others from being read, each may hold its share,
// limit divided by the types, however much the others hold.
type inflight struct {
	limit, share int
	typeOf       map[string]events.Type // by stream; none for the group's own
	gauge        prometheus.Gauge
	mu           sync.Mutex
	held         map[wire.EntryKey]int // events of the entry
	of           map[events.Type]*load
	all          load
	changed      chan struct{}
}

// load is how many events are held, and how many of them wait for their next attempt:
// those take no room, so that failing events do not hold up the others.
type load struct{ events, waiting int }

func (l load) room(limit int) int { return limit - l.events + min(l.waiting, 4*limit) }

func newInflight(limit, types int, typeOf map[string]events.Type, gauge prometheus.Gauge) *inflight {
	f := &inflight{limit: limit, typeOf: typeOf, gauge: gauge, held: make(map[wire.EntryKey]int),
		of: make(map[events.Type]*load), changed: make(chan struct{}, 1)}
	if types > 1 { // of one alone a full member reads nothing: another may have time for it
		f.share = limit / (types + 1)
	}
	return f
}

// add takes an entry of n events; false when it is held already. The gauge is set once
// for many, by the next read or removal.
func (f *inflight) add(k wire.EntryKey, n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, dup := f.held[k]; dup {
		return false
	}
	f.held[k] = n
	f.count(k.Stream, n)
	return true
}

// count counts events of a stream in or out. Called with the lock held.
func (f *inflight) count(stream string, n int) {
	f.all.events += n
	f.load(stream).events += n
}

// remove lets go of entries.
func (f *inflight) remove(keys ...wire.EntryKey) {
	f.mu.Lock()
	for _, k := range keys {
		n := f.held[k]
		delete(f.held, k)
		f.count(k.Stream, -n)
	}
	f.gauge.Set(float64(f.all.events))
	f.mu.Unlock()
	wire.Signal(f.changed)
}

// setWaiting counts an event in (+1) or out (-1) of those that wait for an attempt.
func (f *inflight) setWaiting(stream string, by int) {
	f.mu.Lock()
	f.all.waiting += by
	f.load(stream).waiting += by
	f.mu.Unlock()
	wire.Signal(f.changed)
}

// load is that of the stream's type. Called with the lock held.
func (f *inflight) load(stream string) *load {
	typ := f.typeOf[stream]
	l := f.of[typ]
	if l == nil {
		l = &load{}
		f.of[typ] = l
	}
	return l
}

func (f *inflight) holds(k wire.EntryKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.held[k]
	return ok
}

// room is how many more events may be read of any stream.
func (f *inflight) room() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gauge.Set(float64(f.all.events))
	return f.all.room(f.limit)
}

// awaitRoom blocks until there is room; 0 means that ctx has ended.
func (f *inflight) awaitRoom(ctx context.Context) int {
	_, n, _ := f.awaitStreams(ctx, nil)
	return n
}

// fullBlock is how long a read of those streams that still have room waits while the
// others have none: they may have some soon.
const fullBlock = 5 * time.Millisecond

// awaitStreams blocks until something may be read and says which of the streams, how
// many events of each, and how long a read of them may block. None when ctx has ended.
func (f *inflight) awaitStreams(ctx context.Context, streams []string) (which []string, n int, block time.Duration) {
	for ctx.Err() == nil {
		if n := f.room(); n > 0 {
			wire.Signal(f.changed) // another partition's reader may wait too
			return streams, n, wire.BlockTime
		}
		if which, n := f.below(streams); n > 0 {
			return which, n, fullBlock
		}
		select {
		case <-f.changed:
		case <-ctx.Done():
		}
	}
	return nil, 0, 0
}

// below are the streams whose types hold less than their share, and the least that is
// missing to it.
func (f *inflight) below(streams []string) (which []string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range streams {
		if room := f.load(s).room(f.share); room > 0 {
			which = append(which, s)
			if n == 0 || room < n {
				n = room
			}
		}
	}
	return which, n
}
