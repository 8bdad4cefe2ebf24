package wire

import (
	"context"
	_ "embed" // the scripts

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

//go:embed replay.lua
var replayLua string

//go:embed remove.lua
var removeLua string

var (
	replayScript = redis.NewScript(replayLua)
	removeScript = redis.NewScript(removeLua)
)

// Replay gives a dead letter back to its group alone, with more fields and values; ""
// when it is not there.
func (c *Conn) Replay(ctx context.Context, group string, part int, id string, more ...any) (string, error) {
	keys := []string{c.Names.DeadLetters(group, part), c.Names.Replays(group, part)}
	return replayScript.Run(ctx, c.Redis, keys, append([]any{id}, more...)...).Text()
}

// NotRemoved says why a group was left as it is: a member that lives, or dead letters.
type NotRemoved struct {
	Member  string
	Letters int64
}

// RemoveGroup removes a group from one partition, whole or not at all: nil when it is
// gone. dead are the leases of members as they were seen to stand still.
func (c *Conn) RemoveGroup(ctx context.Context, group string, part int, withLetters bool, dead map[string]string) (*NotRemoved, error) {
	keys := append([]string{c.Names.Groups(part), c.Names.Members(group, part), c.Names.Replays(group, part), c.Names.DeadLetters(group, part)},
		c.GroupStreams(group, part)...)
	args := []any{group, withLetters}
	for member, lease := range dead {
		args = append(args, member, lease)
	}
	reply, err := removeScript.Run(ctx, c.Redis, keys, args...).Slice()
	if err != nil || len(reply) == 0 {
		return nil, err
	}
	why := &NotRemoved{}
	if reply[0] == "letters" {
		why.Letters, _ = reply[1].(int64)
	} else {
		why.Member, _ = reply[1].(string)
	}
	return why, nil
}

// GroupStreams are what a group may be on in one partition: the streams of all types,
// since it may have read others once, and its replays.
func (c *Conn) GroupStreams(group string, part int) []string {
	var streams []string
	for _, spec := range events.Catalogue() {
		streams = append(streams, c.Names.Stream(spec.Type, part))
	}
	return append(streams, c.Names.Replays(group, part))
}
