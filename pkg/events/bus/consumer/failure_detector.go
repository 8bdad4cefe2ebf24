package consumer

import (
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// idleChecks checks without a sign of life make a member without a lease dead: 5 min.
// Such a one takes part by plain Redis commands and works for as long as it likes on
// what it has read; any XREADGROUP or XCLAIM of it is a sign.
const idleChecks = 60

// observation is what one check sees of a member.
type observation struct {
	lease string        // "" when it has none
	idle  time.Duration // without a lease: since it touched the group, by Redis' clock
}

// failureDetector holds each check of the members against the ones before. Checks are
// counted and clocks are not compared, so that a jump of Redis' clock makes nobody dead.
type failureDetector struct {
	interval time.Duration // between two checks
	now      func() time.Time
	members  map[string]record // by partition and member
}

// record is a member's lease, for how many checks it has given no sign of life, and when
// it was last checked.
type record struct {
	lease  string
	silent int
	at     time.Time
}

func newFailureDetector(interval time.Duration) *failureDetector {
	return &failureDetector{interval: interval, now: time.Now, members: make(map[string]record)}
}

// dead takes note of a check of a member and tells whether it is dead.
func (d *failureDetector) dead(member string, seen observation) bool {
	if seen.lease == wire.LeftLease {
		return true
	}
	at := d.now()
	before, known := d.members[member]
	silent := before.silent + 1
	if !known || before.lease != seen.lease || seen.lease == "" && seen.idle <= at.Sub(before.at) {
		silent = 0
	}
	d.members[member] = record{lease: seen.lease, silent: silent, at: at}
	if seen.lease == "" {
		return silent >= idleChecks
	}
	return silent >= wire.DeadChecks
}

// untouched is how long an entry of a dead member must have lain to be taken over: one
// without a lease may have given a sign since the check.
func (d *failureDetector) untouched(lease string) time.Duration {
	if lease == "" {
		return d.interval
	}
	return 0
}

func (d *failureDetector) forget(member string) { delete(d.members, member) }
