package wire

import (
	"context"
	_ "embed" // the scripts
	"fmt"

	"github.com/redis/go-redis/v9"
)

//go:embed attempt.lua
var attemptLua string

//go:embed deadletter.lua
var deadletterLua string

var (
	attemptScript    = redis.NewScript(attemptLua)
	deadletterScript = redis.NewScript(deadletterLua)
)

// CountAttempts writes the attempts begun of entries of one partition, at most
// [MaxBatch], into the pending list, and tells of each whether it is still this
// member's.
func (c *Conn) CountAttempts(ctx context.Context, group string, entries []Pending) ([]bool, error) {
	keys := make([]string, len(entries))
	args := []any{group, c.Member}
	for i, e := range entries {
		keys[i] = e.Stream
		args = append(args, e.ID, e.Begun)
	}
	held, err := attemptScript.Run(ctx, c.Redis, keys, args...).BoolSlice()
	if err == nil && len(held) != len(entries) {
		err = fmt.Errorf("attempts: an answer of %d values for %d entries", len(held), len(entries))
	}
	return held, err
}

// DeadLetter adds a letter of the given fields and values to the group's dead letters
// and acknowledges the entry, in one step. The letter's id is "" when the entry is no
// longer this member's: then nothing was written.
func (c *Conn) DeadLetter(ctx context.Context, group string, part int, entry EntryKey, fields ...any) (id string, err error) {
	args := append([]any{group, c.Member, entry.ID}, fields...)
	return deadletterScript.Run(ctx, c.Redis, []string{entry.Stream, c.Names.DeadLetters(group, part)}, args...).Text()
}
