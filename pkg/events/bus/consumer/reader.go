package consumer

import (
	"context"
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// reader reads one partition: first what is pending under the member's own name, then
// new entries.
type reader struct {
	group     *group
	part      int
	inflight  *inflight
	breaker   *breaker
	intake    *intake
	recoverer *recoverer
	gather    time.Duration
	redisDown *wire.Condition

	owned bool // what was pending under the own name is taken
	most  int  // entries of one stream that a read asks for
}

const (
	// fullRead entries of one read, and the next one does not wait for
	// [Subscription.Gather]: below, what a read of all streams costs Redis is more
	// than what its entries do.
	fullRead = 64
	// firstRead and largestRead bound the entries of one stream that a read asks
	// for: few at first, since it is not known how much an entry holds.
	firstRead, largestRead = 8, 256
)

// run reads until ctx ends.
func (r *reader) run(ctx context.Context) {
	r.most = firstRead
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := r.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && lost(err) {
			err = r.group.recreate(ctx, r.part)
		}
		if r.redisDown.Set(r.part, err); err == nil {
			attempt = 0
			continue
		}
		r.group.conn.Follow(ctx)
		wire.Pause(ctx, wire.Backoff(attempt, 20*time.Millisecond, time.Second, wire.Jitter))
	}
}

// once waits until something may be read, and reads.
func (r *reader) once(ctx context.Context) error {
	if !r.breaker.awaitSink(ctx) {
		return nil
	}
	streams, room, block := r.inflight.awaitStreams(ctx, r.group.streams[r.part])
	if room == 0 {
		return nil
	}
	if !r.owned {
		err := r.recoverer.takeOwn(ctx, r.part)
		r.owned = err == nil
		return err
	}
	began := time.Now()
	// It does not end with ctx: a reply that nobody reads would leave its entries stranded.
	entries, err := r.group.conn.ReadGroup(context.WithoutCancel(ctx), r.group.name, streams, min(r.most, perStream(room, len(streams))), block)
	if err != nil || len(entries) == 0 {
		return err
	}
	r.adapt(len(entries), r.intake.accept(r.part, entries), room)
	if len(entries) < fullRead {
		wire.Pause(ctx, r.gather-time.Since(began)) // the next ones come together
	}
	return nil
}

// adapt chooses how many entries the next read may ask for: half as many when this one
// brought more events than there was room for, twice as many when it was cut short.
func (r *reader) adapt(entries, events, room int) {
	switch {
	case events > room:
		r.most = max(1, r.most/2)
	case entries >= r.most:
		r.most = min(largestRead, 2*r.most)
	}
}

// perStream turns room into COUNT, which Redis applies to each stream. When all
// streams are busy a read brings more than there is room for, bounded; a quarter
// each keeps that rare and one busy stream fast.
func perStream(room, streams int) int { return max(1, room/min(streams, 4)) }
