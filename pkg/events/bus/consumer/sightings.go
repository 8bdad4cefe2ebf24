package consumer

import (
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// untouchedLooks looks without a sign of life make a member without a lease dead: 5 min.
// Such a one takes part by plain Redis commands and works for as long as it likes on
// what it has read; any XREADGROUP or XCLAIM of it is a sign.
const untouchedLooks = 60

// sight is what one look sees of a member.
type sight struct {
	lease string        // "" when it has none
	idle  time.Duration // without a lease: since it touched the group, by Redis' clock
}

// sightings hold each look at the members against the ones before. Looks are counted
// and clocks are not compared, so that a jump of Redis' clock makes nobody dead.
type sightings struct {
	rhythm wire.Rhythm
	now    func() time.Time
	seen   map[string]sighting // by partition and member
}

// sighting is a lease, for how many looks the member has stood still, and when it was
// last looked at.
type sighting struct {
	lease string
	still int
	at    time.Time
}

func newSightings(r wire.Rhythm) *sightings {
	return &sightings{rhythm: r, now: time.Now, seen: make(map[string]sighting)}
}

// dead takes note of a look at a member and tells whether it is dead.
func (s *sightings) dead(member string, now sight) bool {
	if now.lease == wire.LeftLease {
		return true
	}
	at := s.now()
	before, known := s.seen[member]
	sign := !known || before.lease != now.lease || now.lease == "" && now.idle <= at.Sub(before.at)
	still := before.still + 1
	if sign {
		still = 0
	}
	s.seen[member] = sighting{lease: now.lease, still: still, at: at}
	if now.lease == "" {
		return still >= untouchedLooks
	}
	return still >= wire.DeadLooks
}

// untouched is how long an entry of a dead member must have lain to be taken over: one
// without a lease may have given a sign since the look.
func (s *sightings) untouched(lease string) time.Duration {
	if lease == "" {
		return s.rhythm.Look
	}
	return 0
}

func (s *sightings) forget(member string) { delete(s.seen, member) }
