package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
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

	lease lease
	hand  *hand
	lanes *lanes
	gate  *gate
	acks  *acker
	look  *look

	handled, recreated, claimed, lostToTrim, duplicates prometheus.Counter
	handlerSeconds                                      prometheus.Observer
	redisDown                                           state

	retries retries
}

func newTenure(b *Bus, s Subscription, log zerolog.Logger) *tenure {
	m := b.metrics
	t := &tenure{
		bus: b, sub: s, log: log, names: b.names,
		hand:  newHand(s.Prefetch),
		lanes: newLanes(),
		gate:  newGate(log, m.outage.WithLabelValues(s.Group)),

		handled: m.handled.WithLabelValues(s.Group), recreated: m.recreated.WithLabelValues(s.Group),
		claimed: m.claimed.WithLabelValues(s.Group), lostToTrim: m.lostToTrim.WithLabelValues(s.Group),
		duplicates: m.duplicates.WithLabelValues(s.Group), handlerSeconds: m.handlerSeconds.WithLabelValues(s.Group),
	}
	t.lease = newLease(t)
	t.acks = newAcker(t)
	t.look = newLook(t)
	t.redisDown = state{log: log, bad: "Redis does not answer; waiting", good: "Redis answers again"}
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

// join registers the group, makes it where it is missing, and takes the lease;
// false means that ctx ended first.
func (t *tenure) join(ctx context.Context) bool {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := t.register(ctx)
		if err == nil {
			_, err = t.ensureGroups(ctx)
		}
		if err == nil {
			err = t.lease.take(ctx)
		}
		if t.redisDown.set(err); err == nil {
			return true
		}
		pause(ctx, backoff(attempt, 50*time.Millisecond, 2*time.Second, jitter))
	}
	return false
}

// register tells housekeeping that this group wants to see these types.
func (t *tenure) register(ctx context.Context) error {
	names := make([]string, len(t.sub.Types))
	for i, typ := range t.sub.Types {
		names[i] = string(typ)
	}
	slices.Sort(names)
	pipe := t.bus.rdb.Pipeline()
	for part := range t.names.Parts() {
		pipe.HSet(ctx, t.names.Groups(part), t.sub.Group, strings.Join(names, " "))
	}
	_, err := pipe.Exec(ctx)
	return err
}

// ensureGroups makes the group on every stream where it is missing, reading from
// the oldest entry, and reports how many it made.
func (t *tenure) ensureGroups(ctx context.Context) (made int, err error) {
	pipe := t.bus.rdb.Pipeline()
	var cmds []*redis.StatusCmd
	for part := range t.names.Parts() {
		for _, stream := range t.streams(part) {
			cmds = append(cmds, pipe.XGroupCreateMkStream(ctx, stream, t.sub.Group, "0"))
		}
	}
	_, _ = pipe.Exec(ctx) // each command's own error is looked at below
	for _, c := range cmds {
		switch {
		case c.Err() == nil:
			made++
		case !strings.HasPrefix(c.Err().Error(), "BUSYGROUP"):
			return made, fmt.Errorf("make group %s: %w", t.sub.Group, c.Err())
		}
	}
	return made, nil
}

// streams are what the group reads in one partition: its types', and its replays.
func (t *tenure) streams(part int) []string {
	keys := make([]string, 0, len(t.sub.Types)+1)
	for _, typ := range t.sub.Types {
		keys = append(keys, t.names.Stream(typ, part))
	}
	return append(keys, t.names.Replays(t.sub.Group, part))
}

// pause sleeps for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// state logs a condition when it changes, never while it lasts.
type state struct {
	log       zerolog.Logger
	bad, good string
	mu        sync.Mutex
	down      bool
}

func (s *state) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil && !s.down:
		s.log.Error().Err(err).Msg(s.bad)
	case err == nil && s.down:
		s.log.Info().Msg(s.good)
	}
	s.down = err != nil
}
