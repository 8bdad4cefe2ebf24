package contender

import (
	"context"
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/deploy/bench/workload"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

// agentbus is the bus with everything on: admission, acknowledgement, retries, leases, metrics.
type agentbus struct {
	publisher *bus.Bus
	members   []*bus.Bus
	consuming sync.WaitGroup
	stop      context.CancelFunc
	errs      []error // of the members, after consuming
}

// BusOptions vary the bus.
type BusOptions struct {
	Members        int    // of each group; 1
	Durability     string // BUS_DURABILITY
	EventsPerEntry int    // BUS_EVENTS_PER_ENTRY
	Handle         func(n int) error
	Each           func(events.Event) // instead: eight handlers of each member, an event at a time
}

// Agentbus starts a publisher and the members of the groups in this process.
func Agentbus(ctx context.Context, s Setup, o BusOptions) (Contender, error) {
	types, err := events.Match("*")
	if err != nil {
		return nil, err
	}
	open := func() (*bus.Bus, error) {
		return bus.Open(ctx, bus.Config{URL: s.URL, Durability: o.Durability, EventsPerEntry: o.EventsPerEntry, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()})
	}
	consuming, stop := context.WithCancel(ctx)
	a := &agentbus{stop: stop, errs: make([]error, s.Groups*max(o.Members, 1))}
	if a.publisher, err = open(); err != nil {
		stop()
		return nil, err
	}
	for i := range a.errs {
		member, err := open()
		if err != nil {
			return nil, errors.Join(err, a.Close())
		}
		a.members = append(a.members, member)
		group := i % s.Groups
		sub := consumer.Subscription{Group: groupName(group), Types: types}
		if o.Each != nil {
			sub.Concurrency = 8
			sub.Handle = func(_ context.Context, m consumer.Message) error { o.Each(m.Event); return nil }
		} else {
			sub.HandleBatch = func(_ context.Context, batch []consumer.Message) []error { return handle(batch, group, s, o) }
		}
		a.consuming.Go(func() { a.errs[i] = consumer.Run(consuming, member, sub) })
	}
	return a, nil
}

func handle(batch []consumer.Message, group int, s Setup, o BusOptions) []error {
	var errs []error
	for i, m := range batch {
		n := workload.Number(m.Event.ID)
		s.Handled(group, n)
		if o.Handle == nil {
			continue
		}
		if errs == nil {
			errs = make([]error, len(batch))
		}
		errs[i] = o.Handle(n)
	}
	return errs
}

func (a *agentbus) Publish(ctx context.Context, batch []workload.Event) error {
	return publish(ctx, a.publisher, batch)
}

func publish(ctx context.Context, b *bus.Bus, batch []workload.Event) error {
	list := make([]events.Event, len(batch))
	for i, e := range batch {
		list[i] = e.Event
	}
	_, err := b.Publish(ctx, list...)
	return err
}

func (a *agentbus) Close() error {
	a.stop()
	a.consuming.Wait()
	errs := a.errs
	for _, m := range a.members {
		errs = append(errs, m.Close())
	}
	return errors.Join(append(errs, a.publisher.Close())...)
}
