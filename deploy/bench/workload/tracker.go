package workload

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Tracker knows when each event was published and which groups have handled it.
type Tracker struct {
	begun  []atomic.Int64 // Unix nanoseconds of the publish call, by number; 0: not yet
	groups []*tracked
}

type tracked struct {
	mu       sync.Mutex
	seen     []uint64 // bits
	took     *hdrhistogram.Histogram
	handled  atomic.Int64
	repeated int
}

// NewTracker is for up to most events and so many groups.
func NewTracker(most, groups int) *Tracker {
	t := &Tracker{begun: make([]atomic.Int64, most)}
	for range groups {
		t.groups = append(t.groups, &tracked{
			seen: make([]uint64, most/64+1),
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

// done says whether every group has handled so many events.
func (t *Tracker) done(n int) bool {
	for _, g := range t.groups {
		if int(g.handled.Load()) < n {
			return false
		}
	}
	return true
}

// Latency is from publish call to handler, in milliseconds.
type Latency struct {
	P50, P99, P999, Max float64
}

// latency is that of all groups together.
func (t *Tracker) latency() Latency {
	all := hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	for i := range t.groups {
		all.Merge(t.groups[i].took)
	}
	return latencyOf(all)
}

// Latency is that of one group.
func (t *Tracker) Latency(group int) Latency { return latencyOf(t.groups[group].took) }

func latencyOf(h *hdrhistogram.Histogram) Latency {
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return Latency{ms(50), ms(99), ms(99.9), ms(100)}
}
