package inspect

import (
	"context"

	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/internal/wire"
)

// Inspector is the operator's side of a [bus.Bus]. It remembers what it saw of the
// members, so keep one for as long as you look. Its methods may be called from any
// goroutine.
type Inspector struct {
	conn    *wire.Conn
	members liveness
}

// New makes an Inspector, which the Bus must outlive.
func New(b *bus.Bus) *Inspector { return &Inspector{conn: b.Wire()} }

// Leases returns the leases of a group's members, by partition and member. A
// lease that differs at two checks more than 6 s apart belongs to a member that is
// alive: it raises it every 3 s.
func (i *Inspector) Leases(ctx context.Context, group string) (map[string]string, error) {
	return i.conn.Leases(ctx, group)
}
