package consumer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// group is what a member belongs to: its name and the streams it reads.
type group struct {
	conn    *wire.Conn
	log     zerolog.Logger
	name    string
	start   string     // where it begins to read when it is made
	types   []string   // sorted
	streams [][]string // by partition: those of the types, then the group's own, its replays
	typeOf  map[string]events.Type

	recreated prometheus.Counter
}

func newGroup(conn *wire.Conn, log zerolog.Logger, sub Subscription, recreated prometheus.Counter) *group {
	g := &group{conn: conn, log: log, name: sub.Group, start: sub.Start, streams: make([][]string, conn.Names.Parts()),
		typeOf: make(map[string]events.Type), recreated: recreated}
	for _, typ := range sub.Types {
		g.types = append(g.types, string(typ))
	}
	slices.Sort(g.types)
	for part := range g.streams {
		for _, typ := range sub.Types {
			stream := conn.Names.Stream(typ, part)
			g.streams[part] = append(g.streams[part], stream)
			g.typeOf[stream] = typ
		}
		g.streams[part] = append(g.streams[part], g.replays(part))
	}
	return g
}

// replays is the stream by which events come back to this group alone.
func (g *group) replays(part int) string { return g.conn.Names.Replays(g.name, part) }

// enter sees to it that the group is registered and on every stream of a
// partition, takes the lease unless it is empty, and tells on how many streams
// the group was missing. There it begins to read at start.
func (g *group) enter(ctx context.Context, part int, lease, start string) (made int, err error) {
	made, err = g.conn.Join(ctx, g.name, part, g.types, g.streams[part], lease, start)
	if err != nil {
		return 0, fmt.Errorf("join group %s: %w", g.name, err)
	}
	return made, nil
}

// recreate makes a lost group again and says so once. It reads from the oldest entry
// on, wherever it began at first: what it had not read yet must not be passed over.
func (g *group) recreate(ctx context.Context, part int) error {
	made, err := g.enter(ctx, part, "", "0")
	if err == nil && made > 0 {
		g.recreated.Inc()
		g.log.Warn().Int("partition", part).Int("streams", made).Msg("the group was missing in Redis and was made again, reading from the oldest entry")
	}
	return err
}

// lost: the group or a whole stream is gone; UNBLOCKED is how Redis 7.0 tells
// a reader that was waiting for it.
func lost(err error) bool {
	return strings.HasPrefix(err.Error(), "NOGROUP") || strings.HasPrefix(err.Error(), "UNBLOCKED")
}
