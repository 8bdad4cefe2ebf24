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

// Durability is what must have happened to an event before its publish returns.
type Durability int

// The classes, each stricter than the one before.
const (
	// Async: Redis has it in memory; its AOF follows within appendfsync's time.
	Async Durability = iota
	// Replica: BUS_WAIT_REPLICAS replicas have it too (WAIT). Survives the loss of the master.
	Replica
	// Fsync: it is on the master's disk (WAITAOF). Survives a power failure. Redis 7.2 and newer.
	Fsync
)

var durabilityNames = []string{"async", "replica", "fsync"}

func (d Durability) String() string { return durabilityNames[d] }

// confirmTimeout is how long one WAIT or WAITAOF waits: shorter than the client's
// read time-out.
const confirmTimeout = time.Second

// durabilities is the class of each type.
type durabilities map[events.Type]Durability

// parseDurabilities reads BUS_DURABILITY: a class for all, and pattern=class for
// some; later ones win.
func parseDurabilities(s string) (durabilities, error) {
	classes := make(durabilities)
	for _, part := range strings.Split(s, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		pattern, name, ok := strings.Cut(part, "=")
		if !ok {
			pattern, name = "*", part
		}
		class := Durability(-1)
		for i, n := range durabilityNames {
			if n == name {
				class = Durability(i)
			}
		}
		if class < 0 {
			return nil, fmt.Errorf("BUS_DURABILITY: %q is none of async, replica, fsync; write e.g. async,workflow.*=replica", name)
		}
		types, err := events.Match(pattern)
		if err != nil {
			return nil, fmt.Errorf("BUS_DURABILITY: %w", err)
		}
		for _, t := range types {
			classes[t] = class
		}
	}
	return classes, nil
}

// of is the strictest class among the items.
func (ds durabilities) of(items []item) Durability {
	class := Async
	for _, it := range items {
		class = max(class, ds[it.typ])
	}
	return class
}

func (ds durabilities) strictest() Durability {
	class := Async
	for _, c := range ds {
		class = max(class, c)
	}
	return class
}

// errNotDurable means that Redis has the events but did not confirm their class in
// time; the publish is repeated.
var errNotDurable = errors.New("bus: not confirmed")

// publishDurably runs publish.lua and waits for its class on the same connection:
// WAIT counts what this connection has written.
func (b *Bus) publishDurably(ctx context.Context, class Durability, keys []string, args []any) ([]any, error) {
	if class == Async {
		return publishScript.Run(ctx, b.rdb, keys, args...).Slice()
	}
	node, err := b.nodeOf(ctx, keys[0])
	if err != nil {
		return nil, err
	}
	conn := node.Conn()
	defer func() { _ = conn.Close() }()
	reply, err := publishScript.Run(ctx, conn, keys, args...).Slice()
	if err != nil || reply[0] == "conflict" {
		return reply, err
	}
	return reply, b.confirm(ctx, class, conn)
}

// confirm waits until what conn has written is where the class wants it. For
// replicas that take too long the publish is repeated: there may be another master
// by then. A slow disk is waited for: the repeat would be one more write, for the
// next sync, and where a sync takes longer than confirmTimeout no publish would
// ever be confirmed.
func (b *Bus) confirm(ctx context.Context, class Durability, conn *redis.Conn) error {
	for {
		var want, got int64
		var err error
		if class == Replica {
			want = int64(b.cfg.WaitReplicas)
			got, err = conn.Wait(ctx, b.cfg.WaitReplicas, confirmTimeout).Result()
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
		if class == Replica || ctx.Err() != nil {
			return err
		}
		b.trouble.Store(&err)
	}
}

// nodeOf is the client of the server that holds the key.
func (b *Bus) nodeOf(ctx context.Context, key string) (*redis.Client, error) {
	switch c := b.rdb.(type) {
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	case *redis.Client:
		return c, nil
	}
	return nil, fmt.Errorf("bus: durability is not supported by %T", b.rdb)
}
