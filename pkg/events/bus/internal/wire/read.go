package wire

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// ReadGroup reads up to count new entries of each stream for this member, waiting up to
// block for any. The reply is taken apart here because go-redis makes a map of each
// entry's fields, which costs a third of what reading does.
func (c *Conn) ReadGroup(ctx context.Context, group string, streams []string, count int, block time.Duration) ([]Entry, error) {
	args := make([]any, 0, 9+2*len(streams))
	args = append(args, "XREADGROUP", "GROUP", group, c.Member, "COUNT", count, "BLOCK", block.Milliseconds(), "STREAMS")
	for _, s := range streams {
		args = append(args, s)
	}
	for range streams {
		args = append(args, ">")
	}
	cmd := redis.NewSliceCmd(ctx, args...)
	cmd.SetFirstKeyPos(int8(firstStream))
	if err := c.Blocking.Process(ctx, cmd); err != nil {
		if errors.Is(err, redis.Nil) {
			return nil, nil
		}
		return nil, err
	}
	return entriesOf(cmd.Val())
}

// firstStream is where the streams begin among the words of the command: a cluster is
// asked by the first key.
const firstStream = 9

// entriesOf reads [[stream, [[id, [field, value, ...]], ...]], ...].
func entriesOf(reply []any) ([]Entry, error) {
	n := 0
	for _, s := range reply {
		_, list := pair(s)
		entries, _ := list.([]any)
		n += len(entries)
	}
	out := make([]Entry, 0, n)
	for _, s := range reply {
		name, list := pair(s)
		stream, isText := name.(string)
		entries, isList := list.([]any)
		if !isText || !isList {
			return nil, errReply
		}
		for _, e := range entries {
			name, list := pair(e)
			id, isText := name.(string)
			if !isText {
				return nil, errReply
			}
			fields, _ := list.([]any) // none, where the entry was deleted
			out = append(out, Entry{EntryKey: EntryKey{Stream: stream, ID: id}, Fields: fields})
		}
	}
	return out, nil
}

// pair is an array of two; nil and nil for anything else.
func pair(v any) (first, second any) {
	if list, ok := v.([]any); ok && len(list) == 2 {
		return list[0], list[1]
	}
	return nil, nil
}

var errReply = errors.New("xreadgroup: an answer of another form")
