package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// lease is a member's sign of life: in each partition's hash of members it keeps
// "<incarnation>:<counter>" and raises the counter. Others take it for dead when
// the counter stands still.
type lease struct {
	t           *tenure
	incarnation string
	counter     int64
}

func newLease(t *tenure) lease {
	return lease{t: t, incarnation: fmt.Sprintf("%x", time.Now().UnixNano())}
}

func (l *lease) value() string { return fmt.Sprintf("%s:%d", l.incarnation, l.counter) }

// keep raises the counter until ctx ends; false means that the lease is gone.
// While Redis does not answer nobody can take it away either.
func (l *lease) keep(ctx context.Context) bool {
	tick := time.NewTicker(l.t.bus.rhythm.beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-tick.C:
		}
		l.counter++
		for part := range l.t.names.Parts() {
			held, err := l.beat(ctx, part)
			if err == nil && !held {
				return false
			}
		}
	}
}

func (l *lease) beat(ctx context.Context, part int) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.t.bus.rhythm.beat)
	defer cancel()
	n, err := beatScript.Run(ctx, l.t.bus.rdb, []string{l.t.names.Members(l.t.sub.Group, part)},
		l.t.bus.cfg.Member, l.incarnation, l.counter).Int()
	return n == 1, err
}

// Leases returns the leases of a group's members, by partition and member. A
// lease that differs at two looks more than 6 s apart belongs to a member that is
// alive: it raises it every 3 s.
func (b *Bus) Leases(ctx context.Context, group string) (map[string]string, error) {
	leases := make(map[string]string)
	for part := range b.names.Parts() {
		got, err := b.rdb.HGetAll(ctx, b.names.Members(group, part)).Result()
		if err != nil {
			return nil, fmt.Errorf("leases of %s: %w", group, err)
		}
		keepLeases(leases, part, got)
	}
	return leases, nil
}

// keepLeases puts a partition's leases among those of the others.
func keepLeases(all map[string]string, part int, leases map[string]string) {
	for member, lease := range leases {
		all[fmt.Sprintf("%d/%s", part, member)] = lease
	}
}

// leftLease is the lease of a member that took leave with entries in its hands.
// Nobody has to wait until it stands still.
const leftLease = "left"

// leave removes the member where it holds nothing. Where it still does, the lease
// becomes [leftLease], and the others take the entries over when they next look.
func (l *lease) leave() {
	l.t.acks.undertaker.flush()
	ctx, cancel := context.WithTimeout(context.Background(), ackPatience)
	defer cancel()
	l.counter++ // the last beat may have been cut off; from here the lease is known
	for part := range l.t.names.Parts() {
		if held, err := l.beat(ctx, part); err != nil || !held {
			l.t.log.Warn().Err(err).Msg("leaving the group could not be told to Redis; the others will notice")
			return
		}
		keys := append([]string{l.t.names.Members(l.t.sub.Group, part)}, l.t.streams(part)...)
		err := claimScript.Run(ctx, l.t.bus.rdb, keys, l.t.sub.Group, l.t.bus.cfg.Member, l.t.bus.cfg.Member, l.value(), 0).Err()
		if err != nil && !errors.Is(err, redis.Nil) {
			l.t.log.Warn().Err(err).Msg("leaving the group could not be told to Redis; the others will notice")
			return
		}
	}
}
