package consumer

import (
	"context"
	"errors"
	"fmt"

	"agentbus/pkg/events/bus"
)

// Run makes this process a member of a group and hands it events until ctx
// ends. Then it stops reading, finishes what it has in hand (up to DrainTimeout,
// after which handlers are cancelled with [ErrDraining]), acknowledges and takes
// leave. It returns nil after that, and an error only for a wrong subscription, such as
// a group that b reads for already: trouble with Redis is waited out.
func Run(ctx context.Context, b *bus.Bus, s Subscription) error {
	s = s.withDefaults()
	if err := s.validate(); err != nil {
		return err
	}
	conn := b.Wire()
	leave, ok := conn.Enter(s.Group)
	if !ok {
		return fmt.Errorf("subscription: this process reads for group %s already, as member %s; raise Concurrency, or open another Bus", s.Group, conn.Member)
	}
	defer leave()
	log := conn.Log.With().Str("group", s.Group).Str("member", conn.Member).Logger()
	for ctx.Err() == nil {
		if err := newMember(conn, s, log).run(ctx); !errors.Is(err, ErrLost) {
			return err
		}
		log.Warn().Msg("the lease was lost: this member stood still, or another has its name; joining again")
	}
	return nil
}
