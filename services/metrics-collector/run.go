package main

import (
	"context"
	"sync"
	"time"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
	"agentbus/pkg/service"
)

// group is the consumer group of all replicas.
const group = "metrics_collectors"

func run(ctx context.Context, cfg Config, rt *service.Runtime) error {
	all, err := events.Match("*")
	if err != nil {
		return err
	}
	cfg.Log, cfg.Metrics = rt.Log, rt.Metrics
	b, err := bus.Open(ctx, cfg.Config)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()

	g := newGroups(rt.Metrics, rt.Log, inspect.New(b).Groups)
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { g.run(watching, cfg.GroupsEvery) })

	c := newCollector(rt.Metrics, time.Now)
	rt.Ready("redis", b.Ping)
	return consumer.Run(ctx, b, consumer.Subscription{Group: group, Types: all, HandleBatch: c.handle, Gather: 5 * time.Millisecond})
}
