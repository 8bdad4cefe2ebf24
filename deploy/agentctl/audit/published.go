// Package audit holds what was published against what became of it in every
// group: the streams in Redis, the groups' positions, their dead letters, and
// the rows in PostgreSQL. It only reads, and it may run while events flow.
//
// The order of the questions makes that safe: first the streams, then how far
// the groups are, then the effects. What a group had acknowledged by the second
// must show in the third, or it is missing.
package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

// Scope chooses events; the zero value of a field chooses all. Times are those
// of the entries in Redis, by its clock; Until is not included.
type Scope struct {
	Workflow     string
	Since, Until time.Time
}

// Event is one published event and where it stands. Without an ID it is an entry
// that is no event: the groups owe it a dead letter all the same.
type Event struct {
	ID         string      `json:"id,omitempty"`
	Type       events.Type `json:"type,omitempty"`
	WorkflowID string      `json:"workflow_id,omitempty"`
	Stream     string      `json:"stream"`
	EntryID    string      `json:"entry_id"`
}

// place is where an event stands over all streams. event is "" for an entry that is none.
type place struct{ stream, entry, event string }

// stream is what stands in one stream and in scope.
type stream struct {
	key    string
	part   int
	typ    events.Type
	events []Event
}

// page is how many entries are read at once: with entries of 1 KiB, 1 MiB.
const page = 1000

// published reads the streams.
func published(ctx context.Context, b *bus.Bus, s Scope) ([]stream, error) {
	names := b.Names()
	var out []stream
	for part := range names.Parts() {
		if s.Workflow != "" && part != names.Partition(s.Workflow) {
			continue
		}
		for _, spec := range events.Catalogue() {
			st := stream{key: names.Stream(spec.Type, part), part: part, typ: spec.Type}
			if err := st.read(ctx, b, s); err != nil {
				return nil, fmt.Errorf("%s: %w", st.key, err)
			}
			out = append(out, st)
		}
	}
	return out, nil
}

func (st *stream) read(ctx context.Context, b *bus.Bus, s Scope) error {
	newest, err := b.Client().XRevRangeN(ctx, st.key, "+", "-", 1).Result()
	if err != nil || len(newest) == 0 {
		return err
	}
	from, to := s.entries()
	if to == "+" {
		to = newest[0].ID // what comes while it is read is for the next look
	}
	for {
		found, err := b.Client().XRangeN(ctx, st.key, from, to, page).Result()
		if err != nil {
			return err
		}
		for _, m := range found {
			for _, e := range eventsOf(st.key, m) {
				if s.Workflow == "" || s.Workflow == e.WorkflowID {
					st.events = append(st.events, e)
				}
			}
		}
		if len(found) < page {
			return nil
		}
		from = "(" + found[len(found)-1].ID
	}
}

// eventsOf are an entry's events, or what stands for an entry that is none.
func eventsOf(key string, m redis.XMessage) []Event {
	found, err := consumer.Messages(key, m)
	if err != nil {
		return []Event{{Stream: key, EntryID: m.ID}}
	}
	out := make([]Event, len(found))
	for i, f := range found {
		out[i] = Event{ID: f.Event.ID, Type: f.Event.Type, WorkflowID: f.Event.WorkflowID, Stream: key, EntryID: m.ID}
	}
	return out
}

// entries is the scope's time as a range of entry ids.
func (s Scope) entries() (from, to string) {
	from, to = "-", "+"
	if !s.Since.IsZero() {
		from = fmt.Sprint(max(s.Since.UnixMilli(), 0))
	}
	if !s.Until.IsZero() {
		to = fmt.Sprintf("(%d", max(s.Until.UnixMilli(), 0))
	}
	return from, to
}
