package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

type jsonObject = json.RawMessage

// errUnknown is returned for a workflow that is not (or no longer) kept.
var errUnknown = errors.New("no such workflow")

// store keeps workflows in Redis and publishes what becomes of them.
type store struct {
	bus  *bus.Bus
	keep time.Duration // how long finished ones stay
	log  zerolog.Logger
	now  func() time.Time
}

func (s *store) load(ctx context.Context, id string) (*workflow, int64, error) {
	st, err := s.bus.Load(ctx, s.bus.Names().Workflow(id))
	if err != nil {
		return nil, 0, err
	}
	if st.Rev == 0 {
		return nil, 0, errUnknown
	}
	w := new(workflow)
	if err := json.Unmarshal(st.Doc, w); err != nil {
		return nil, 0, fmt.Errorf("state of workflow %s: %w", id, err)
	}
	return w, st.Rev, nil
}

// change applies decide to the workflow's state and commits what it returns. When
// another coordinator was quicker it loads the state again and asks decide anew.
// No notes mean that there is nothing to do. It returns the state as it is then.
func (s *store) change(ctx context.Context, id string, decide func(*workflow, time.Time) []note) (*workflow, error) {
	for {
		w, rev, err := s.load(ctx, id)
		if err != nil {
			return nil, err
		}
		notes := decide(w, s.now())
		if len(notes) == 0 {
			return w, nil
		}
		if err = s.commit(ctx, w, rev, notes); !errors.Is(err, bus.ErrConflict) {
			return w, err
		}
	}
}

// commit writes the state at revision rev and publishes its notes, both or neither.
func (s *store) commit(ctx context.Context, w *workflow, rev int64, notes []note) error {
	names := s.bus.Names()
	part := names.Partition(w.ID)
	doc, err := json.Marshal(w)
	if err != nil {
		return err
	}
	c := bus.Change{Key: names.Workflow(w.ID), Rev: rev, Doc: doc}
	if rev == 0 {
		for _, index := range []string{names.Workflows(part), names.TenantWorkflows(w.Tenant, part)} {
			c.Index = append(c.Index, bus.IndexUpdate{Key: index, Member: w.ID, Score: float64(w.CreatedAt.UnixMilli())})
		}
	}
	deadline := bus.IndexUpdate{Key: names.Deadlines(part), Member: w.ID, Score: float64(w.Deadline.UnixMilli())}
	if w.State.Final() {
		c.TTL, deadline.Remove = s.keep, true
	}
	c.Index = append(c.Index, deadline, w.task(names.Tasks(part)))

	evs := make([]events.Event, len(notes))
	for i, n := range notes {
		if evs[i], err = events.New(n.typ, w.ID, events.Coordinator, n.payload); err != nil {
			return fmt.Errorf("announce %s: %w", n.typ, err)
		}
		evs[i].Metadata = map[string]string{events.MetadataTenant: w.Tenant}
		if w.Traceparent != "" {
			evs[i].Metadata["traceparent"] = w.Traceparent
		}
	}
	if _, err := s.bus.Commit(ctx, c, evs...); err != nil {
		return err
	}
	line := s.log.Info()
	if len(notes) == 1 && notes[0].typ == events.WorkflowProgressed {
		line = s.log.Debug() // several a second
	}
	line.Str("workflow", w.ID).Str("state", string(w.State)).Str("stage", string(w.stage().Name)).
		Str("because", string(notes[0].typ)).Int("percent", w.percent()).Msg("workflow changed")
	return nil
}

// cursor is a place in the list: the last workflow shown.
type cursor struct {
	ms int64
	id string
}

// before reports whether c stands in front of o in the list, which is newest first.
func (c cursor) before(o cursor) bool {
	if c.ms != o.ms {
		return c.ms > o.ms
	}
	return c.id > o.id
}

// scanMost bounds the workflows one list call looks at when a filter matches few.
const scanMost = 2000

// list returns up to limit workflows of an index (its key by partition) behind
// from, newest first, that pass the filter, and where to go on; a zero cursor
// means the end.
func (s *store) list(ctx context.Context, index func(part int) string, from cursor, limit int, pass func(*workflow) bool) (found []*workflow, next cursor, err error) {
	for scanned := 0; scanned < scanMost; {
		page, err := s.page(ctx, index, from, limit+1)
		if err != nil {
			return nil, cursor{}, err
		}
		for _, c := range page {
			if len(found) == limit {
				return found, from, nil
			}
			w, _, err := s.load(ctx, c.id)
			switch {
			case errors.Is(err, errUnknown): // its time was up
				s.bus.Client().ZRem(ctx, index(s.bus.Names().Partition(c.id)), c.id)
			case err != nil:
				return nil, cursor{}, err
			case pass(w):
				found = append(found, w)
			}
			from, scanned = c, scanned+1
		}
		if len(page) < limit+1 {
			return found, cursor{}, nil
		}
	}
	return found, from, nil
}

// page returns the next n places behind from, over all partitions.
func (s *store) page(ctx context.Context, index func(part int) string, from cursor, n int) ([]cursor, error) {
	var all []cursor
	names := s.bus.Names()
	top := "+inf"
	if from != (cursor{}) {
		top = strconv.FormatInt(from.ms, 10)
	}
	for part := range names.Parts() {
		got := 0
		for offset := int64(0); got < n; offset += int64(n) {
			rows, err := s.bus.Client().ZRevRangeByScoreWithScores(ctx, index(part),
				&redis.ZRangeBy{Min: "-inf", Max: top, Offset: offset, Count: int64(n)}).Result()
			if err != nil {
				return nil, fmt.Errorf("list workflows: %w", err)
			}
			for _, z := range rows {
				id, _ := z.Member.(string)
				if c := (cursor{int64(z.Score), id}); from == (cursor{}) || from.before(c) {
					all = append(all, c)
					got++
				}
			}
			if len(rows) < n {
				break
			}
		}
	}
	slices.SortFunc(all, func(a, b cursor) int {
		if a == b {
			return 0
		}
		if a.before(b) {
			return -1
		}
		return 1
	})
	return all[:min(n, len(all))], nil
}
