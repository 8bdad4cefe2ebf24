package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/inspect"
)

// storing is the group whose effects can be looked up one by one.
const storing = "db_writers"

// How an account knows what was handled.
const (
	ByRow = "stored"       // there is a row of it
	ByAck = "acknowledged" // the group said so; what it did cannot be asked for
)

// Account is what became of the published events in one group. Each event is
// counted once, by its id.
type Account struct {
	Group        string  `json:"group"`
	By           string  `json:"handled_by"` // ByRow or ByAck
	Published    int     `json:"published"`  // of the types the group wants
	Handled      int     `json:"handled"`
	DeadLettered int     `json:"dead_lettered"`
	Waiting      int     `json:"waiting"` // not delivered, in somebody's hands, or given back from the dead letters
	Missing      int     `json:"missing"`
	MissingOnes  []Event `json:"missing_events"` // oldest first
}

// Take makes every registered group's account, by name. The database is asked
// for rows of db_writers where that group exists.
func Take(ctx context.Context, b *bus.Bus, databaseURL string, s Scope) ([]Account, error) {
	groups, err := registered(ctx, b)
	if err != nil {
		return nil, err
	}
	streams, err := published(ctx, b, s)
	if err != nil {
		return nil, err
	}
	var out []Account
	for _, group := range sortedGroups(groups) {
		a, err := accountOf(ctx, b, databaseURL, group, groups[group], streams, s)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// fate is what is known of one event in one group; an event may have come as
// several entries.
type fate struct {
	event   Event
	waiting bool // the group has still to deal with it
	trimmed bool // it is in somebody's hands and its content is gone
}

func accountOf(ctx context.Context, b *bus.Bus, databaseURL, group string, types []events.Type, streams []stream, s Scope) (Account, error) {
	a := Account{Group: group, By: ByAck, MissingOnes: []Event{}}
	fates, err := deliveries(ctx, b, group, types, streams, s)
	if err != nil {
		return a, err
	}
	back, err := replaying(ctx, b, group)
	if err != nil {
		return a, err
	}
	letters, err := inspect.New(b).DeadLetters(ctx, group, inspect.DeadLetterFilter{Limit: 1 << 30})
	if err != nil {
		return a, err
	}
	byID, byPlace := map[string]bool{}, map[place]bool{}
	for _, l := range letters {
		if l.EventID != "" {
			byID[l.EventID] = true
		}
		byPlace[place{l.Stream, l.EntryID, l.EventID}] = true
		byPlace[place{l.Stream, l.EntryID, ""}] = true // if the entry is no event
	}
	rows := map[string]bool{}
	if group == storing {
		a.By = ByRow
		if rows, err = storedOf(ctx, databaseURL, fates); err != nil {
			return a, err
		}
	}
	for _, f := range fates {
		at := place{f.event.Stream, f.event.EntryID, f.event.ID}
		a.Published++
		switch {
		case rows[strings.ToLower(f.event.ID)]:
			a.Handled++
		case f.event.ID != "" && byID[f.event.ID] || byPlace[at]:
			a.DeadLettered++
		case f.trimmed:
			a.miss(f.event)
		case f.waiting || back[at]:
			a.Waiting++
		case a.By == ByRow:
			a.miss(f.event)
		default:
			a.Handled++
		}
	}
	slices.SortFunc(a.MissingOnes, func(x, y Event) int {
		switch {
		case x.EntryID == y.EntryID:
			return cmp.Compare(x.Stream, y.Stream)
		case after(x.EntryID, y.EntryID):
			return 1
		}
		return -1
	})
	return a, nil
}

func (a *Account) miss(e Event) {
	a.Missing++
	a.MissingOnes = append(a.MissingOnes, e)
}

// deliveries are the events of the group's types, each with whether the group
// has still to deal with it.
func deliveries(ctx context.Context, b *bus.Bus, group string, types []events.Type, streams []stream, s Scope) (map[string]*fate, error) {
	fates := map[string]*fate{}
	for _, st := range streams {
		if !slices.Contains(types, st.typ) {
			continue
		}
		p, err := positionOf(ctx, b.Client(), st.key, group)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", st.key, group, err)
		}
		there := map[string]bool{}
		for _, e := range st.events {
			there[e.EntryID] = true
			name := cmp.Or(e.ID, e.Stream+" "+e.EntryID)
			f := fates[name]
			if f == nil {
				f = &fate{event: e}
				fates[name] = f
			}
			f.waiting = f.waiting || p.owes(e.EntryID)
		}
		if s != (Scope{}) {
			continue // whose workflow a trimmed entry was of cannot be told
		}
		gone, err := p.contentGone(ctx, b.Client(), st.key, there)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", st.key, err)
		}
		for _, id := range gone {
			fates[st.key+" "+id] = &fate{event: Event{Type: st.typ, Stream: st.key, EntryID: id}, trimmed: true}
		}
	}
	return fates, nil
}

// storedOf asks which of the events have a row.
func storedOf(ctx context.Context, databaseURL string, fates map[string]*fate) (map[string]bool, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ids := make([]string, 0, len(fates))
	for _, f := range fates {
		if f.event.ID != "" {
			ids = append(ids, f.event.ID)
		}
	}
	rows := make(map[string]bool, len(ids))
	for chunk := range slices.Chunk(ids, 10*page) {
		found, err := conn.Query(ctx, `SELECT event_id::text FROM workflow_updates WHERE event_id = ANY($1::text[]::uuid[])`, chunk)
		if err != nil {
			return nil, fmt.Errorf("workflow_updates: %w", err)
		}
		stored, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("workflow_updates: %w", err)
		}
		for _, id := range stored {
			rows[id] = true
		}
	}
	return rows, nil
}
