// Package history reads the past of a workflow: what the live view still keeps in Redis, and for what it
// does not, the record in PostgreSQL. The record holds fewer types of events, so gaps may stay.
package history

import (
	"context"
	"encoding/json"

	"agentbus/services/websocket-manager/live"
)

// Numbered is an event with its number in its workflow.
type Numbered struct {
	Seq   int64           `json:"seq"`
	Event json.RawMessage `json:"event" doc:"As in the vocabulary; see the AsyncAPI document"`
}

// Gap is a run of numbers, both included, of which nothing is kept.
type Gap struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Page is a run of a workflow's events in order of their numbers.
type Page struct {
	Events []Numbered
	Gaps   []Gap
	To     int64 // the page covers the numbers up to here
	Last   int64 // the highest known
}

// History reads pages. Record may be nil.
type History struct {
	Feed   *live.Feed
	Record *Record
}

// Read covers up to limit numbers above after: each is an event or in a gap.
func (h *History) Read(ctx context.Context, workflowID string, after, limit int64) (*Page, error) {
	p := &Page{Events: []Numbered{}, Gaps: []Gap{}, To: after}
	var err error
	if p.Last, err = h.Feed.Last(ctx, workflowID); err != nil {
		return nil, err
	}
	if p.Last == 0 && h.Record != nil {
		if p.Last, err = h.Record.last(ctx, workflowID); err != nil {
			return nil, err
		}
	}
	p.To = max(after, min(after+limit, p.Last))
	if p.To == after {
		return p, nil
	}
	kept, err := h.Feed.Between(ctx, workflowID, after+1, p.To)
	if err != nil {
		return nil, err
	}
	if h.Record != nil && int64(len(kept)) < p.To-after {
		stored, err := h.Record.events(ctx, workflowID, after+1, p.To)
		if err != nil {
			return nil, err
		}
		for seq, event := range stored {
			if _, ok := kept[seq]; !ok {
				kept[seq] = event
			}
		}
	}
	for seq := after + 1; seq <= p.To; seq++ {
		event, ok := kept[seq]
		switch n := len(p.Gaps); {
		case ok:
			p.Events = append(p.Events, Numbered{seq, event})
		case n > 0 && p.Gaps[n-1].To == seq-1:
			p.Gaps[n-1].To = seq
		default:
			p.Gaps = append(p.Gaps, Gap{seq, seq})
		}
	}
	return p, nil
}
