package workload

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"agentbus/pkg/events"
)

// Group is who is told of events.
type Group struct {
	Name  string
	Wants func(events.Event) bool // nil: all
	Late  bool                    // it is known at the end only what it has handled
}

// Tracker knows when each event was published and which groups have handled it.
type Tracker struct {
	source *source
	begun  []atomic.Int64 // Unix nanoseconds of the publish call, by number; 0: not yet
	groups []*tracked
}

type tracked struct {
	Group
	wanted   atomic.Int64
	handled  atomic.Int64
	mu       sync.Mutex
	seen     []uint64 // bits
	took     *hdrhistogram.Histogram
	repeated int
}

// newTracker is for up to most events.
func newTracker(s *source, most int, groups []Group) *Tracker {
	t := &Tracker{source: s, begun: make([]atomic.Int64, most)}
	for _, g := range groups {
		t.groups = append(t.groups, &tracked{
			Group: g, seen: make([]uint64, most/64+1),
			took: hdrhistogram.New(1, time.Minute.Microseconds(), 3), // microseconds, three digits
		})
	}
	return t
}

// Handled says that a group has handled the event.
func (t *Tracker) Handled(group, n int) { t.HandledAt(group, n, time.Now()) }

// HandledAt is Handled at a known time.
func (t *Tracker) HandledAt(group, n int, at time.Time) {
	if n < 0 || n >= len(t.begun) {
		return
	}
	g := t.groups[group]
	took := max(1, (at.UnixNano()-t.begun[n].Load())/1000)
	g.mu.Lock()
	defer g.mu.Unlock()
	if bit := uint64(1) << (n % 64); g.seen[n/64]&bit == 0 {
		g.seen[n/64] |= bit
		g.handled.Add(1)
	} else {
		g.repeated++
	}
	_ = g.took.RecordValue(min(took, time.Minute.Microseconds())) // in range
}

// Workflows are the ids of the run's workflows.
func (t *Tracker) Workflows() []string { return t.source.workflows }

// Prefix is what these ids begin with, and no other run's.
func (t *Tracker) Prefix() string { return t.source.prefix() }

// publishing notes that an event is handed over now.
func (t *Tracker) publishing(e Event, now int64) {
	t.begun[e.N].Store(now)
	for _, g := range t.groups {
		if g.Wants == nil || g.Wants(e.Event) {
			g.wanted.Add(1)
		}
	}
}

// behind is how many events the slowest group has still to handle, those counted too
// that it does not want: who sees one in twenty is as far behind as who sees all. Of late
// groups it is known once all is settled only.
func (t *Tracker) behind(settled bool) (most int64) {
	var all int64 // about what is published: some group wants all of it
	for _, g := range t.groups {
		all = max(all, g.wanted.Load())
	}
	for _, g := range t.groups {
		if wanted := g.wanted.Load(); wanted > 0 && (!g.Late || settled) {
			most = max(most, (wanted-g.handled.Load())*all/wanted)
		}
	}
	return most
}

// Begun is when the event was handed over, false for one of another run.
func (t *Tracker) Begun(n int) (time.Time, bool) {
	if n < 0 || n >= len(t.begun) || t.begun[n].Load() == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, t.begun[n].Load()), true
}

// Wanted is how many events the group is to handle so far.
func (t *Tracker) Wanted(group int) int { return int(t.groups[group].wanted.Load()) }

// Latency is from publish call to handler, in milliseconds.
type Latency struct {
	P50, P99, P999, Max float64
}

// reset forgets the times so far: those of the warm-up.
func (t *Tracker) reset() {
	for _, g := range t.groups {
		g.mu.Lock()
		g.took.Reset()
		g.mu.Unlock()
	}
}

// latency is that of all groups together.
func (t *Tracker) latency() Latency {
	all := hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	for _, g := range t.groups {
		g.mu.Lock()
		all.Merge(g.took)
		g.mu.Unlock()
	}
	return latencyOf(all)
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return Latency{ms(50), ms(99), ms(99.9), ms(100)}
}
