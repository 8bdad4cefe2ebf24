package wire

import (
	"context"
	_ "embed" // the scripts
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

//go:embed duty.lua
var dutyLua string

//go:embed trim.lua
var trimLua string

var (
	dutyScript = redis.NewScript(dutyLua)
	trimScript = redis.NewScript(trimLua)
)

// HoldDuty takes the lease of a duty that one process does for all, or prolongs it;
// false means that another holds it.
func (c *Conn) HoldDuty(ctx context.Context, duty string, life time.Duration) (bool, error) {
	n, err := dutyScript.Run(ctx, c.Redis, []string{c.Names.Lease(duty)}, c.Member, life.Milliseconds()).Int()
	return n == 1, err
}

// Trimmed is what one call of [Conn.Trim] removed.
type Trimmed struct {
	Entries        int64            // in all
	Unacknowledged int64            // of them, some group had not acknowledged: the hard cap removed them
	More           bool             // there are more above the hard cap
	Undelivered    map[string]int64 // by group, removed entries that it was never given
}

// Trim removes the entries of a stream that every group has acknowledged and that are
// older than keepFrom, then up to step of those above the hard cap. typ is "" for a
// stream that only the groups on it read.
func (c *Conn) Trim(ctx context.Context, stream string, typ events.Type, part int, keepFrom string, step int) (Trimmed, error) {
	keys := []string{stream, c.Names.Groups(part), c.Names.Adopted(typ, part)}
	reply, err := trimScript.Run(ctx, c.Redis, keys, string(typ), keepFrom, c.MaxEntries, step).Slice()
	if err != nil {
		return Trimmed{}, err
	}
	number := func(v any) int64 { n, _ := v.(int64); return n }
	out := Trimmed{Entries: number(reply[0]), Unacknowledged: number(reply[1]), More: number(reply[2]) == 1, Undelivered: make(map[string]int64)}
	for _, row := range reply[3:] {
		if f, ok := row.([]any); ok && len(f) == 2 {
			group, _ := f[0].(string)
			out.Undelivered[group] = number(f[1])
		}
	}
	return out, nil
}
