package wire

import (
	"context"
	_ "embed" // the scripts
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

//go:embed memory.lua
var memoryLua string

//go:embed admit.lua
var admitLua string

//go:embed publish.lua
var publishLua string

//go:embed foreign.lua
var foreignLua string

var (
	// PublishScript adds each event in an entry of its own.
	PublishScript = AdmitScript(publishLua)
	foreignScript = redis.NewScript("#!lua flags=allow-oom\n" + memoryLua + foreignLua)
)

// AdmitScript makes a script that admits events from one that adds their entries, as
// admit.lua says.
func AdmitScript(add string) *redis.Script { return redis.NewScript(memoryLua + admitLua + add) }

// Admission is one call of a script that admits: events of one partition, at most
// [MaxBatch], each with another id.
type Admission struct {
	Part           int
	IDs, Workflows []string // per event
	Change         *Change  // nil: none

	Script  *redis.Script // [PublishScript], or another of [AdmitScript]
	Streams []string      // of the entries
	Data    []any         // of the entries, then what else the script takes
}

// Change is a compare-and-set of a state and its indexes.
type Change struct {
	Key   string
	Rev   int64
	Doc   []byte // nil deletes the state
	TTLms int64  // 0: for ever
	Index []IndexUpdate
}

// IndexUpdate adds a member to a sorted set, or removes it.
type IndexUpdate struct {
	Key, Member string
	Score       float64
	Remove      bool
}

// Place is where an event stands: its number in its workflow and its entry's id. The
// zero Place is that of an event that was not added.
type Place struct {
	Seq int64
	ID  string
}

// Admitted is what became of an [Admission].
type Admitted struct {
	Conflict bool    // the state has another revision; nothing was written
	Known    bool    // Places are those of earlier calls; nothing was added
	Places   []Place // per event
}

// Admit runs the admission on r, which holds the partition: a client, or a connection
// that is to be waited on.
func (c *Conn) Admit(ctx context.Context, r redis.Scripter, a Admission) (Admitted, error) {
	keys, args := c.admitArgs(a)
	reply, err := a.Script.Run(ctx, r, keys, args...).StringSlice()
	if err != nil {
		return Admitted{}, err
	}
	switch {
	case len(reply) == 2 && reply[0] == "conflict":
		return Admitted{Conflict: true}, nil
	case len(reply) == 1+len(a.IDs):
		out := Admitted{Known: reply[0] == "known", Places: make([]Place, len(a.IDs))}
		for i, fact := range reply[1:] {
			if seq, id, found := strings.Cut(fact, " "); found {
				n, _ := strconv.ParseInt(seq, 10, 64) // as the script wrote it
				out.Places[i] = Place{Seq: n, ID: id}
			}
		}
		return out, nil
	}
	return Admitted{}, fmt.Errorf("an answer of %d values for %d events", len(reply), len(a.IDs))
}

// admitArgs lays out KEYS and ARGV as admit.lua's head says.
func (c *Conn) admitArgs(a Admission) (keys []string, args []any) {
	keys = make([]string, 4, 6+len(a.Streams))
	copy(keys, c.memoryKeys(a.Part))
	args = make([]any, 8, 8+3*len(a.IDs)+len(a.Data))
	args[0], args[1], args[2] = len(a.IDs), c.DedupWindow.Milliseconds(), counterLife.Milliseconds()
	args[3], args[4], args[5], args[6], args[7] = "none", 0, "", 0, 0
	for _, id := range a.IDs {
		args = append(args, id)
	}
	for _, workflow := range a.Workflows {
		args = append(args, workflow)
	}
	if ch := a.Change; ch != nil {
		args[3], args[4], args[5], args[6], args[7] = "set", ch.Rev, ch.Doc, ch.TTLms, len(ch.Index)
		if ch.Doc == nil {
			args[3], args[5] = "delete", ""
		}
		keys = append(keys, ch.Key)
		for _, u := range ch.Index {
			op := "add"
			if u.Remove {
				op = "rem"
			}
			keys = append(keys, u.Key)
			args = append(args, op, u.Member, strconv.FormatFloat(u.Score, 'f', -1, 64))
		}
	}
	return append(keys, a.Streams...), append(args, a.Data...)
}

// memoryKeys are the first KEYS of the scripts that admit, see memory.lua.
func (c *Conn) memoryKeys(part int) []string {
	return []string{c.Names.Seen(part), c.Names.SeenBefore(part), c.Names.Seqs(part), c.Names.SeqsBefore(part)}
}

// Foreign is an entry that was added without a number.
type Foreign struct {
	EntryID           string
	Type              events.Type
	EventID, Workflow string
}

// AdmitForeign admits entries of one partition that others added, and returns the number of
// each in its workflow, 0 for a repeat of an event that stands in another entry.
func (c *Conn) AdmitForeign(ctx context.Context, part int, entries []Foreign) ([]int64, error) {
	keys := c.memoryKeys(part)
	args := []any{c.DedupWindow.Milliseconds(), counterLife.Milliseconds()}
	for _, e := range entries {
		keys = append(keys, c.Names.Adopted(e.Type, part))
		args = append(args, e.EntryID, e.EventID, e.Workflow)
	}
	seqs, err := foreignScript.Run(ctx, c.Redis, keys, args...).Int64Slice()
	if err == nil && len(seqs) != len(entries) {
		err = fmt.Errorf("foreign: an answer of %d values for %d entries", len(seqs), len(entries))
	}
	return seqs, err
}
