package inspect

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// TestLiveness plays a group on two partitions: one member is killed, then the other
// takes leave, and a third comes.
func TestLiveness(t *testing.T) {
	t.Parallel()
	var l liveness
	at := time.Now()
	lease := func(member string, counter int) map[string]string {
		value := fmt.Sprint(member, ":", counter)
		return map[string]string{"0/" + member: value, "1/" + member: value}
	}
	both := func(a, b map[string]string) map[string]string {
		all := maps.Clone(a)
		maps.Copy(all, b)
		return all
	}
	for _, step := range []struct {
		after  time.Duration
		leases map[string]string
		want   map[string]lifeSign
		what   string
	}{
		{0, both(lease("a", 1), lease("b", 1)), map[string]lifeSign{"a": {}, "b": {}}, "both are new"},
		{5 * time.Second, both(lease("a", 1), lease("b", 2)), map[string]lifeSign{"a": {still: 5 * time.Second}, "b": {moved: true}}, "a was killed"},
		{5 * time.Second, both(lease("a", 1), lease("b", 4)), map[string]lifeSign{"a": {still: 10 * time.Second}, "b": {moved: true}}, "it stands still longer"},
		{5 * time.Second, both(lease("a", 1), map[string]string{"0/b": "b:4", "1/b": "b:5"}),
			map[string]lifeSign{"a": {still: 15 * time.Second}, "b": {moved: true}}, "b was heard in one partition only"},
		{time.Second, both(lease("a", 1), map[string]string{"0/b": wire.LeftLease, "1/b": wire.LeftLease}), map[string]lifeSign{"a": {still: 16 * time.Second}}, "b took leave with entries in hand"},
		{time.Hour, both(lease("a", 1), lease("c", 1)), map[string]lifeSign{"a": {still: time.Hour + 16*time.Second}, "c": {}}, "c is new"},
		{time.Second, both(lease("a", 2), lease("c", 1)), map[string]lifeSign{"a": {moved: true}, "c": {still: time.Second}}, "a had only been stopped"},
		{time.Second, nil, map[string]lifeSign{}, "all are gone"},
		{time.Second, lease("a", 2), map[string]lifeSign{"a": {}}, "and forgotten"},
	} {
		at = at.Add(step.after)
		got := l.observe(at, map[string]map[string]string{"g": step.leases, "another": nil})
		if !maps.Equal(got["g"], step.want) || len(got["another"]) != 0 {
			t.Errorf("%s: %v, want %v", step.what, got, step.want)
		}
	}
}
