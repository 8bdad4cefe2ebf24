package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// durability is what must have happened to an event before its publish returns.
type durability int

// The classes, each stricter than the one before.
const (
	// async: Redis has it in memory; its AOF follows within appendfsync's time.
	async durability = iota
	// replica: BUS_WAIT_REPLICAS replicas have it too (WAIT). Survives the loss of the master.
	replica
	// fsync: it is on the master's disk (WAITAOF). Survives a power failure. Redis 7.2 and newer.
	fsync
)

var durabilityNames = []string{"async", "replica", "fsync"}

func (d durability) String() string { return durabilityNames[d] }

// confirmTimeout is how long one WAIT or WAITAOF waits: shorter than the client's
// read time-out.
const confirmTimeout = time.Second

// durabilities is the class of each type.
type durabilities map[events.Type]durability

// parseDurabilities reads BUS_DURABILITY: a class for all, and pattern=class for
// some; later ones win.
func parseDurabilities(s string) (durabilities, error) {
	return byType("BUS_DURABILITY", s, func(name string) (durability, error) {
		for class, n := range durabilityNames {
			if n == name {
				return durability(class), nil
			}
		}
		return 0, fmt.Errorf("%q is none of async, replica, fsync; write e.g. async,workflow.*=replica", name)
	})
}

func (ds durabilities) strictest() durability {
	class := async
	for _, c := range ds {
		class = max(class, c)
	}
	return class
}

// errNotDurable means that Redis has the events but did not confirm their class in
// time; the publish is repeated.
var errNotDurable = errors.New("bus: not confirmed")

// confirm waits until what conn has written is where the class wants it. For
// replicas that take too long the publish is repeated: there may be another master
// by then. A slow disk is waited for: the repeat would be one more write, for the
// next sync, and where a sync takes longer than confirmTimeout no publish would
// ever be confirmed; slow is told of it.
func confirm(ctx context.Context, conn *redis.Conn, class durability, replicas int, slow func(error)) error {
	for {
		var want, got int64
		var err error
		if class == replica {
			want = int64(replicas)
			got, err = conn.Wait(ctx, replicas, confirmTimeout).Result()
		} else {
			want = 1
			var both []int64 // synced here, and by how many replicas
			if both, err = conn.Do(ctx, "WAITAOF", 1, 0, confirmTimeout.Milliseconds()).Int64Slice(); err == nil && len(both) == 2 {
				got = both[0]
			}
		}
		switch {
		case err != nil && strings.HasPrefix(err.Error(), "UNBLOCKED"): // the master has become a replica
			return fmt.Errorf("%w as %s: %w", errNotDurable, class, err)
		case err != nil || got >= want:
			return err
		}
		err = fmt.Errorf("%w as %s: %d of %d within %s", errNotDurable, class, got, want, confirmTimeout)
		if class == replica || ctx.Err() != nil {
			return err
		}
		slow(err)
	}
}
