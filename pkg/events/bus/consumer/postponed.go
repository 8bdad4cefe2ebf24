package consumer

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events/bus/internal/wire"
)

// maxPostponed bounds the entries whose keys alone are kept: 100 bytes each.
const maxPostponed = 100_000

// postponed are entries of this member that are neither held nor stranded: they wait
// until the dead letters before them are written.
type postponed struct {
	gauge   prometheus.Gauge // counts them among the letters that wait
	mu      sync.Mutex
	entries map[wire.EntryKey]postponedEntry
}

type postponedEntry struct{ part, begun int }

func newPostponed(gauge prometheus.Gauge) *postponed {
	return &postponed{gauge: gauge, entries: make(map[wire.EntryKey]postponedEntry)}
}

// add remembers entries as far as there is room; others are found as stranded.
func (p *postponed) add(part int, entries ...wire.Pending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range entries {
		if len(p.entries) < maxPostponed {
			p.entries[e.EntryKey] = postponedEntry{part, e.Begun}
			p.gauge.Inc()
		}
	}
}

// has reports whether the entry is among them.
func (p *postponed) has(k wire.EntryKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.entries[k]
	return ok
}

func (p *postponed) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.entries)
}

// take removes up to n entries of one partition and returns them.
func (p *postponed) take(n int) (part int, out []wire.Pending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, e := range p.entries {
		if len(out) == 0 {
			part = e.part
		}
		if e.part != part {
			continue
		}
		if out = append(out, wire.Pending{EntryKey: k, Begun: e.begun}); len(out) == n {
			break
		}
	}
	for _, e := range out {
		delete(p.entries, e.EntryKey)
		p.gauge.Dec()
	}
	return part, out
}
