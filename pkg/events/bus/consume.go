package bus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/pkg/events"
)

// Consume makes this process a member of a group and hands it events until ctx
// ends. Then it stops reading, finishes what it has in hand (up to DrainTimeout,
// after which handlers are cancelled with [ErrDraining]), acknowledges and takes
// leave. It returns nil after that, and an error only for a wrong subscription:
// trouble with Redis is waited out.
func (b *Bus) Consume(ctx context.Context, s Subscription) error {
	s = s.withDefaults()
	if err := s.validate(); err != nil {
		return err
	}
	log := b.log.With().Str("group", s.Group).Str("member", b.cfg.Member).Logger()
	for ctx.Err() == nil {
		t := newTenure(b, s, log)
		if err := t.run(ctx); !errors.Is(err, ErrLost) {
			return err
		}
		log.Warn().Msg("the lease was lost: this member stood still, or another has its name; joining again")
	}
	return nil
}

// tenure is one membership from joining to leaving, or to losing the lease.
type tenure struct {
	bus   *Bus
	sub   Subscription
	log   zerolog.Logger
	names events.Naming
	// typeOf is the type of each stream that is read: its name is not spelled anew for each event.
	typeOf map[string]events.Type

	lease lease
	hand  *hand
	lanes *lanes
	gate  *gate
	acks  *acker
	look  *look

	handled, recreated, claimed, lostToTrim, duplicates prometheus.Counter
	handlerSeconds                                      prometheus.Observer
	redisDown                                           condition

	retries retries
}

func newTenure(b *Bus, s Subscription, log zerolog.Logger) *tenure {
	m := b.metrics
	t := &tenure{
		bus: b, sub: s, log: log, names: b.names,
		hand:  newHand(s.Prefetch),
		lanes: newLanes(s.Concurrency, len(s.Types)),
		gate:  newGate(log, m.outage.WithLabelValues(s.Group)),

		handled: m.handled.WithLabelValues(s.Group), recreated: m.recreated.WithLabelValues(s.Group),
		claimed: m.claimed.WithLabelValues(s.Group), lostToTrim: m.lostToTrim.WithLabelValues(s.Group),
		duplicates: m.duplicates.WithLabelValues(s.Group), handlerSeconds: m.handlerSeconds.WithLabelValues(s.Group),
	}
	t.typeOf = make(map[string]events.Type)
	for part := range t.names.Parts() {
		for _, typ := range s.Types {
			t.typeOf[t.names.Stream(typ, part)] = typ
		}
	}
	t.lease = newLease(t)
	t.acks = newAcker(t)
	t.look = newLook(t)
	t.redisDown = condition{log: log, bad: "Redis does not answer; waiting", good: "Redis answers again"}
	return t
}

// run lives through the tenure. Readers stop first, then the handlers finish,
// then acknowledgements are written, then the member takes leave.
func (t *tenure) run(ctx context.Context) error {
	if !t.join(ctx) {
		return nil
	}
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	working, cancelWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancelWork(nil)

	var keepers, readers, workers sync.WaitGroup
	kept, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	keepers.Go(func() { // the lease is held until the last acknowledgement
		if t.lease.keep(kept) {
			return
		}
		cancelWork(ErrLost) // first: the end of reading alone would look like leaving
		stopReading()
	})
	keepers.Go(func() { t.acks.run(kept) })
	for part := range t.names.Parts() {
		readers.Go(func() { t.read(reading, part) })
	}
	readers.Go(func() { t.look.run(reading) })
	readers.Go(func() { t.bus.tidy(reading) })
	for range t.sub.Concurrency {
		workers.Go(func() { t.work(reading, working) })
	}

	readers.Wait()
	t.retries.stop()
	t.lanes.close(errors.Is(context.Cause(working), ErrLost))
	drain := time.AfterFunc(t.sub.DrainTimeout, func() {
		cancelWork(ErrDraining)
		t.lanes.close(true)
	})
	workers.Wait()
	drain.Stop()

	lost := errors.Is(context.Cause(working), ErrLost)
	if !lost {
		for _, p := range t.hand.packs() {
			if p.release(false) { // what is handled must not be done again
				t.acks.takeApart(p)
			}
		}
		t.acks.flush()
	}
	stopKeeping()
	keepers.Wait()
	if lost {
		return ErrLost
	}
	t.lease.leave()
	return nil
}
