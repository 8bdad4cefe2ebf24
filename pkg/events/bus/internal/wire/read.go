package wire

import (
	"context"
	"errors"
	"fmt"
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
	var entries []Entry
	for _, s := range reply {
		of, _ := s.([]any)
		if len(of) != 2 {
			return nil, errReply
		}
		stream, isText := of[0].(string)
		list, isList := of[1].([]any)
		if !isText || !isList {
			return nil, errReply
		}
		for _, m := range list {
			parts, _ := m.([]any)
			if len(parts) != 2 {
				return nil, errReply
			}
			id, isText := parts[0].(string)
			if !isText {
				return nil, errReply
			}
			fields, _ := parts[1].([]any)
			entries = append(entries, Entry{EntryKey: EntryKey{Stream: stream, ID: id}, Fields: fields})
		}
	}
	return entries, nil
}

var errReply = fmt.Errorf("xreadgroup: an answer of another form")
