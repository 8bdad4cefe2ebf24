package inspect

import (
	"strings"
	"sync"
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// liveness tells members that live from those that died or hang. One check at the
// leases cannot: a member that was killed leaves its lease behind, and the last one
// of a group has nobody who would remove it. So each check is held against the
// earlier ones of this process, by its own monotonic clock.
type liveness struct {
	mu   sync.Mutex
	seen map[string]map[string]leaseRecord // by group; by partition and member
}

// leaseRecord is a lease and since when it has stood still, as far as is known.
type leaseRecord struct {
	lease string
	since time.Time
	moved bool // between two checks; else it may have been still for long
}

// lifeSign is what the checks say of a member.
type lifeSign struct {
	still time.Duration // since its lease was first seen as it is
	moved bool          // its lease has moved since the first check
}

// observe takes note of the leases of all groups, as [Inspector.Leases] returns them, and
// tells the signs of each group's members: of several partitions the latest. A
// member that took leave is not among them.
func (l *liveness) observe(now time.Time, groups map[string]map[string]string) map[string]map[string]lifeSign {
	l.mu.Lock()
	defer l.mu.Unlock()
	signs := make(map[string]map[string]lifeSign, len(groups))
	seen := make(map[string]map[string]leaseRecord, len(groups))
	for group, leases := range groups {
		signs[group] = make(map[string]lifeSign)
		seen[group] = make(map[string]leaseRecord, len(leases))
		for key, lease := range leases {
			if lease == wire.LeftLease {
				continue
			}
			s, known := l.seen[group][key]
			if s.lease != lease {
				s = leaseRecord{lease: lease, since: now, moved: known}
			}
			seen[group][key] = s
			_, member, _ := strings.Cut(key, "/")
			sum := lifeSign{now.Sub(s.since), s.moved}
			if other, ok := signs[group][member]; ok {
				sum = lifeSign{min(sum.still, other.still), sum.moved || other.moved}
			}
			signs[group][member] = sum
		}
	}
	l.seen = seen
	return signs
}
