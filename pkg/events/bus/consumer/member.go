package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"agentbus/pkg/events/bus/internal/janitor"
	"agentbus/pkg/events/bus/internal/wire"
)

// member is one membership from joining to leaving, or to losing the lease. Here its
// parts meet.
type member struct {
	sub       Subscription
	conn      *wire.Conn
	redisDown *wire.Condition

	heartbeat *heartbeat
	readers   []*reader // one per partition
	recoverer *recoverer
	scheduler *scheduler
	worker    *worker
	splitter  *splitter
	acks      *acknowledger
	letters   *deadLetterWriter
	retries   *retryTimer
}

func newMember(conn *wire.Conn, sub Subscription, log zerolog.Logger) *member {
	metrics := newMetrics(conn, sub.Group)
	g := newGroup(conn, log, sub, metrics.recreated)
	redisDown := &wire.Condition{Log: log, Bad: "Redis does not answer; waiting", Good: "Redis answers again"}
	flight := newInflight(sub.Prefetch, len(sub.Types), g.typeOf, metrics.inFlight)
	queue := newScheduler(sub.Concurrency, len(sub.Types))
	sink := newBreaker(log, metrics.outage)

	// Behind the handler.
	acks := newAcknowledger(g, flight, sub.Gather, redisDown)
	retries := &retryTimer{inflight: flight, scheduler: queue}
	letters := newDeadLetterWriter(deadLetters{group: g, inflight: flight, written: metrics.deadLettered}, sub.Prefetch, metrics.waiting)
	split := newSplitter(g, settlement{acks: acks, retries: retries, letters: letters, inflight: flight}, sub.Prefetch)

	// Before it.
	in := &intake{group: g, inflight: flight, scheduler: queue, splitter: split, letters: letters, retries: retries,
		foreign: &foreignAdmitter{group: g, inflight: flight, acks: acks, duplicates: metrics.duplicates}}
	m := &member{
		sub: sub, conn: conn, redisDown: redisDown, heartbeat: newHeartbeat(g), scheduler: queue,
		splitter: split, acks: acks, letters: letters, retries: retries,
		recoverer: &recoverer{group: g, inflight: flight, breaker: sink, letters: letters, postponed: letters.postponed, prefetch: sub.Prefetch,
			fetcher: &fetcher{group: g, intake: in, acks: acks, lost: metrics.lostToTrim}, claimed: metrics.claimed,
			detector: newFailureDetector(conn.Intervals.Check), stranded: make([]map[wire.EntryKey]struct{}, len(g.streams))},
		worker: &worker{group: g, sub: sub, scheduler: queue, breaker: sink, attempts: attempts{g}, settler: split, acks: acks, retries: retries,
			handler: handler{log: log, handle: sub.HandleBatch, limit: sub.HandlerTimeout, seconds: metrics.handlerSeconds},
			handled: metrics.handled, retried: metrics.retried},
	}
	for part := range g.streams {
		m.readers = append(m.readers, &reader{group: g, part: part, inflight: flight, breaker: sink, intake: in, recoverer: m.recoverer,
			gather: sub.Gather, redisDown: redisDown})
	}
	return m
}

// run lives through the membership. Readers stop first, then the handlers finish,
// then acknowledgements are written, then the member takes leave.
func (m *member) run(ctx context.Context) error {
	if !m.heartbeat.join(ctx, m.redisDown) {
		return nil
	}
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	working, cancelWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancelWork(nil)

	var background, readers, workers sync.WaitGroup
	kept, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	background.Go(func() { // the lease is held until the last acknowledgement
		if m.heartbeat.run(kept) {
			return
		}
		cancelWork(ErrLost) // first: the end of reading alone would look like leaving
		stopReading()
	})
	background.Go(func() { m.acks.run(kept) })
	background.Go(func() { m.letters.run(kept) })
	for _, r := range m.readers {
		readers.Go(func() { r.run(reading) })
	}
	readers.Go(func() { m.recoverer.run(reading) })
	readers.Go(func() { janitor.Run(reading, m.conn) })
	for range m.sub.Concurrency {
		workers.Go(func() { m.worker.run(reading, working) })
	}

	readers.Wait()
	m.retries.stop()
	m.scheduler.close(errors.Is(context.Cause(working), ErrLost))
	drain := time.AfterFunc(m.sub.DrainTimeout, func() {
		cancelWork(ErrDraining)
		m.scheduler.close(true)
	})
	workers.Wait()
	drain.Stop()

	lost := errors.Is(context.Cause(working), ErrLost)
	if !lost {
		m.splitter.leave()
		m.acks.flush()
	}
	stopBackground()
	background.Wait()
	if lost {
		return ErrLost
	}
	m.letters.flush()
	m.heartbeat.leave()
	return nil
}
