package wire

import (
	"context"
	_ "embed" // the scripts
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed join.lua
var joinLua string

//go:embed beat.lua
var beatLua string

//go:embed claim.lua
var claimLua string

var (
	joinScript  = redis.NewScript(joinLua)
	beatScript  = redis.NewScript(beatLua)
	claimScript = redis.NewScript(claimLua)
)

// LeftLease is the lease of a member that took leave with entries in its hands.
// Nobody has to wait until it stands still.
const LeftLease = "left"

// Join registers a group in one partition and makes it on those streams where it is
// missing, to read from start on ("0" is the oldest entry, "$" is now); it takes the
// lease unless that is empty, and tells on how many streams the group was missing.
func (c *Conn) Join(ctx context.Context, group string, part int, types, streams []string, lease, start string) (made int, err error) {
	keys := append([]string{c.Names.Groups(part), c.Names.Members(group, part)}, streams...)
	return joinScript.Run(ctx, c.Redis, keys, group, strings.Join(types, " "), c.Member, lease, start).Int()
}

// Beat raises this member's lease in one partition; false means that it is gone or
// that another incarnation holds it.
func (c *Conn) Beat(ctx context.Context, group string, part int, incarnation string, counter int64) (bool, error) {
	n, err := beatScript.Run(ctx, c.Redis, []string{c.Names.Members(group, part)}, c.Member, incarnation, counter).Int()
	return n == 1, err
}

// Claim moves up to most entries of a dead member to this one, those that lay
// untouched for idle. gone means that the dead member holds nothing more and was
// removed. lease is the one that was seen to stand still; when it has moved since,
// nothing is done.
func (c *Conn) Claim(ctx context.Context, group string, part int, streams []string, dead, lease string, most int, idle time.Duration) (gone bool, moved []Pending, err error) {
	keys := append([]string{c.Names.Members(group, part)}, streams...)
	reply, err := claimScript.Run(ctx, c.Redis, keys, group, c.Member, dead, lease, most, idle.Milliseconds()).Slice()
	if err != nil || len(reply) == 0 {
		return false, nil, err
	}
	for _, row := range reply[1:] {
		if f, ok := row.([]any); ok && len(f) == 3 {
			i, _ := f[0].(int64)
			id, _ := f[1].(string)
			n, _ := f[2].(int64)
			moved = append(moved, Pending{EntryKey{streams[i], id}, int(n)})
		}
	}
	return reply[0] == int64(1), moved, nil
}

// Leave removes this member from one partition where it holds nothing; where it still
// does, its lease becomes [LeftLease].
func (c *Conn) Leave(ctx context.Context, group string, part int, streams []string, lease string) error {
	_, _, err := c.Claim(ctx, group, part, streams, c.Member, lease, 0, 0)
	return err
}

// Leases are the leases of a group's members, by partition and member:
// "<partition>/<member>".
func (c *Conn) Leases(ctx context.Context, group string) (map[string]string, error) {
	leases := make(map[string]string)
	for part := range c.Names.Parts() {
		got, err := c.Redis.HGetAll(ctx, c.Names.Members(group, part)).Result()
		if err != nil {
			return nil, fmt.Errorf("leases of %s: %w", group, err)
		}
		KeepLeases(leases, part, got)
	}
	return leases, nil
}

// KeepLeases puts a partition's leases among those of the others.
func KeepLeases(all map[string]string, part int, leases map[string]string) {
	for member, lease := range leases {
		all[fmt.Sprintf("%d/%s", part, member)] = lease
	}
}
