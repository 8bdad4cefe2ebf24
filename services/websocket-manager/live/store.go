package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// pageEntries bounds what one read of a log takes into memory.
const pageEntries = 200

// store reads what [Writer] wrote.
type store struct {
	rdb    redis.UniversalClient
	names  events.Naming
	limits Limits
}

// page reads the log above after, up to and including to (0: all), at most pageEntries. whole says that
// there is no more in the range.
func (s *store) page(ctx context.Context, workflowID string, after, to int64) (items []Item, whole bool, err error) {
	upper := "+inf"
	if to > 0 {
		upper = strconv.FormatInt(to, 10)
	}
	found, err := s.rdb.ZRangeByScoreWithScores(ctx, s.names.LiveLog(workflowID), &redis.ZRangeBy{
		Min: "(" + strconv.FormatInt(after, 10), Max: upper, Count: pageEntries,
	}).Result()
	if err != nil {
		return nil, false, fmt.Errorf("read the live log: %w", err)
	}
	items = make([]Item, 0, len(found))
	for _, z := range found {
		seq := int64(z.Score)
		if n := len(items); n > 0 && items[n-1].To == seq {
			continue // two versions of the program wrote it differently
		}
		items = append(items, Item{From: seq, To: seq, Frame: frame(workflowID, z.Member.(string))})
	}
	return items, len(found) < pageEntries, nil
}

// last is the highest number of the workflow that readers can have seen: the log's, or when the log has
// expired, that of the bus's counter. 0 when there is neither.
func (s *store) last(ctx context.Context, workflowID string) (int64, error) {
	var top *redis.ZSliceCmd
	var counters [2]*redis.StringCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		top = p.ZRevRangeWithScores(ctx, s.names.LiveLog(workflowID), 0, 0)
		part := s.names.Partition(workflowID)
		counters[0], counters[1] = p.HGet(ctx, s.names.Seqs(part), workflowID), p.HGet(ctx, s.names.SeqsBefore(part), workflowID)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("read the live log: %w", err)
	}
	if found := top.Val(); len(found) > 0 {
		return int64(found[0].Score), nil
	}
	for _, c := range counters {
		if n, err := c.Int64(); !errors.Is(err, redis.Nil) {
			return n, err
		}
	}
	return 0, nil
}

// floor is the lowest number kept when lower ones have been trimmed away; 0 when none were.
func (s *store) floor(ctx context.Context, workflowID string) (int64, error) {
	key := s.names.LiveLog(workflowID)
	var size *redis.IntCmd
	var low *redis.ZSliceCmd
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		size, low = p.ZCard(ctx, key), p.ZRangeWithScores(ctx, key, 0, 0)
		return nil
	}); err != nil {
		return 0, fmt.Errorf("read the live log: %w", err)
	}
	if size.Val() < int64(s.limits.Entries) || len(low.Val()) == 0 {
		return 0, nil
	}
	return int64(low.Val()[0].Score), nil
}

// listed are the ids of the list's workflows.
func (s *store) listed(ctx context.Context) ([]string, error) {
	var ids []string
	for part := range s.names.Parts() {
		found, err := s.rdb.ZRange(ctx, s.names.LiveList(part), 0, -1).Result()
		if err != nil {
			return nil, fmt.Errorf("read the live list: %w", err)
		}
		ids = append(ids, found...)
	}
	return ids, nil
}

// rows reads the rows of these workflows, as JSON; one that is not there is left out.
func (s *store) rows(ctx context.Context, ids []string) (map[string]json.RawMessage, error) {
	found := make([]*redis.MapStringStringCmd, len(ids))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			found[i] = p.HGetAll(ctx, s.names.LiveRow(id))
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the live list: %w", err)
	}
	out := make(map[string]json.RawMessage, len(ids))
	for i, id := range ids {
		if len(found[i].Val()) == 0 {
			continue
		}
		raw, err := rowOf(id, found[i].Val())
		if err != nil {
			return nil, err
		}
		out[id] = raw
	}
	return out, nil
}
