package inspect

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// DeadLetter is an entry its group could not handle, as it came and why.
type DeadLetter struct {
	ID         string      `json:"id"` // "<partition>/<entry id>"; names it to Replay and Drop
	Group      string      `json:"group"`
	Class      string      `json:"class"` // malformed, permanent, panic, timeout, crash or error
	Error      string      `json:"error"`
	Attempts   int         `json:"attempts"`
	DiedAt     time.Time   `json:"died_at"`
	Stream     string      `json:"stream"`   // where it stood
	EntryID    string      `json:"entry_id"` // its id there
	Seq        int64       `json:"seq,omitempty"`
	EventID    string      `json:"event_id,omitempty"`
	Type       events.Type `json:"type,omitempty"`
	WorkflowID string      `json:"workflow_id,omitempty"`
	Member     string      `json:"member"` // who gave up
	Data       []byte      `json:"data"`   // the original bytes
}

// DeadLetterFilter chooses dead letters; the zero value of a field chooses all.
type DeadLetterFilter struct {
	IDs          []string
	Class        string
	WorkflowID   string
	Since, Until time.Time // by DiedAt
	Limit        int       // at most; 0: 1000
}

func (f DeadLetterFilter) matches(l DeadLetter) bool {
	return (len(f.IDs) == 0 || slices.Contains(f.IDs, l.ID)) &&
		(f.Class == "" || f.Class == l.Class) &&
		(f.WorkflowID == "" || f.WorkflowID == l.WorkflowID) &&
		(f.Since.IsZero() || !l.DiedAt.Before(f.Since)) &&
		(f.Until.IsZero() || !l.DiedAt.After(f.Until))
}

// DeadLetters lists a group's dead letters, oldest first.
func (i *Inspector) DeadLetters(ctx context.Context, group string, f DeadLetterFilter) ([]DeadLetter, error) {
	limit := f.Limit
	if limit == 0 {
		limit = 1000
	}
	var out []DeadLetter
	for part := range i.conn.Names.Parts() {
		from := "-"
		for len(out) < limit {
			page, err := i.conn.Redis.XRangeN(ctx, i.conn.Names.DeadLetters(group, part), from, "+", 500).Result()
			if err != nil {
				return nil, fmt.Errorf("dead letters of %s: %w", group, err)
			}
			for _, m := range page {
				if l := letterOf(part, m); f.matches(l) && len(out) < limit {
					out = append(out, l)
				}
			}
			if len(page) < 500 {
				break
			}
			from = "(" + page[len(page)-1].ID
		}
	}
	return out, nil
}

func letterOf(part int, m redis.XMessage) DeadLetter {
	field := func(name string) string { s, _ := m.Values[name].(string); return s }
	l := DeadLetter{ID: fmt.Sprintf("%d/%s", part, m.ID), Group: field("group"), Class: field("class"), Error: field("error"),
		Stream: field("stream"), EntryID: field("entry"), EventID: field("event_id"), Type: events.Type(field("type")),
		WorkflowID: field("workflow_id"), Member: field("member"), Data: []byte(field("data"))}
	l.Attempts, _ = strconv.Atoi(field("attempts"))
	l.Seq, _ = strconv.ParseInt(field("seq"), 10, 64)
	l.DiedAt, _ = time.Parse(time.RFC3339Nano, field("died_at"))
	return l
}

// Replay gives a dead letter back to its group alone: it is delivered again with
// fresh attempts, under its old seq and event id. by says who asked, for the
// record. [ErrNotFound] when it is not there any more.
func (i *Inspector) Replay(ctx context.Context, group, id, by string) error {
	part, entry, err := i.letterID(id)
	if err != nil {
		return err
	}
	got, err := i.conn.Replay(ctx, group, part, entry, "replayed_by", by, "replayed_at", time.Now().UTC().Format(time.RFC3339Nano))
	if err != nil {
		return fmt.Errorf("replay %s of %s: %w", id, group, err)
	}
	if got == "" {
		return fmt.Errorf("dead letter %s of %s: %w", id, group, ErrNotFound)
	}
	return nil
}

// Drop deletes a dead letter for good; [ErrNotFound] when it is not there.
func (i *Inspector) Drop(ctx context.Context, group, id string) error {
	part, entry, err := i.letterID(id)
	if err != nil {
		return err
	}
	n, err := i.conn.Redis.XDel(ctx, i.conn.Names.DeadLetters(group, part), entry).Result()
	if err != nil {
		return fmt.Errorf("drop %s of %s: %w", id, group, err)
	}
	if n == 0 {
		return fmt.Errorf("dead letter %s of %s: %w", id, group, ErrNotFound)
	}
	return nil
}

func (i *Inspector) letterID(id string) (part int, entry string, err error) {
	head, entry, ok := strings.Cut(id, "/")
	part, err = strconv.Atoi(head)
	if !ok || err != nil || part < 0 || part >= i.conn.Names.Parts() {
		return 0, "", fmt.Errorf("dead letter id %q: must be <partition>/<entry id> as listed, e.g. 0/1700000000000-0: %w", id, ErrNotFound)
	}
	return part, entry, nil
}
