package main

import (
	"fmt"
	"maps"
	"testing"
	"time"
)

// TestCensus plays a group on two partitions: one member is killed, then the other
// takes leave, and a third comes.
func TestCensus(t *testing.T) {
	t.Parallel()
	at := now
	c := newCensus(func() time.Time { return at })
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
		want   int
		what   string
	}{
		{0, both(lease("a", 1), lease("b", 1)), 2, "both are new"},
		{5 * time.Second, both(lease("a", 1), lease("b", 2)), 2, "a stands still for 5 s"},
		{5 * time.Second, both(lease("a", 1), lease("b", 4)), 2, "and for 10 s"},
		{5 * time.Second, both(lease("a", 1), lease("b", 6)), 1, "a was killed"},
		{5 * time.Second, lease("a", 1), 0, "b took leave, nobody is left to bury a"},
		{time.Hour, lease("a", 1), 0, "it stays so"},
		{5 * time.Second, both(lease("a", 1), lease("c", 1)), 1, "c is new"},
		{5 * time.Second, both(lease("a", 2), lease("c", 2)), 2, "a had only been stopped"},
	} {
		at = at.Add(step.after)
		if got := c.living("g", step.leases); got != step.want {
			t.Errorf("%s: %d living, want %d", step.what, got, step.want)
		}
		if got := c.living("another", nil); got != 0 {
			t.Errorf("%s: %d living in a group without leases", step.what, got)
		}
	}
}
