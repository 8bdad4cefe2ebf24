package main

import (
	"strings"
	"time"
)

// deadAfter is how long a lease may stand still. A living member raises it every
// 3 s; the others take its entries over after 15 to 20 s.
const deadAfter = 15 * time.Second

// census tells which members of the groups live. The last member of a group that
// was killed leaves its lease behind, and nobody is there to remove it: counting
// leases would never find a group that nobody reads for.
type census struct {
	now  func() time.Time
	seen map[string]map[string]sighting // by group; by partition and member
}

// sighting is a lease and since when it has stood still, as far as is known.
type sighting struct {
	lease string
	since time.Time
}

func newCensus(now func() time.Time) *census {
	return &census{now: now, seen: make(map[string]map[string]sighting)}
}

// living counts the members of a group whose leases moved within deadAfter. Keys
// of leases are "<partition>/<member>".
func (c *census) living(group string, leases map[string]string) int {
	now := c.now()
	before, current := c.seen[group], make(map[string]sighting, len(leases))
	alive := make(map[string]bool)
	for key, lease := range leases {
		s := before[key]
		if s.lease != lease {
			s = sighting{lease, now}
		}
		current[key] = s
		if now.Sub(s.since) < deadAfter {
			_, member, _ := strings.Cut(key, "/")
			alive[member] = true
		}
	}
	c.seen[group] = current
	return len(alive)
}

func (c *census) forget(group string) { delete(c.seen, group) }
