package main

import (
	"context"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/service"
)

// group is the consumer group of all replicas: together they handle each event.
const group = "example_services"

func run(ctx context.Context, cfg Config, rt *service.Runtime) error {
	types, err := events.Match("workflow.*")
	if err != nil {
		return err
	}
	cfg.Log, cfg.Metrics = rt.Log, rt.Metrics
	b, err := bus.Open(ctx, cfg.Config)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()

	h := &handler{log: rt.Log}
	rt.Ready("redis", b.Ping)
	return consumer.Run(ctx, b, consumer.Subscription{Group: group, Types: types, Handle: h.handle})
}
