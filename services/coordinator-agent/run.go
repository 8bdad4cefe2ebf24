package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"agentbus/pkg/access"
	"agentbus/pkg/agent/artifact"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
	"agentbus/pkg/service"
)

// group is the consumer group of all replicas.
const group = "coordinators"

func run(ctx context.Context, cfg Config, rt *service.Runtime) error {
	guard, err := access.NewGuard(cfg.AllowedHosts)
	if err != nil {
		return fmt.Errorf("ALLOWED_HOSTS: %w", err)
	}
	gate, err := access.New(ctx, cfg.Settings, cfg.HTTPAddr, rt.Log)
	if err != nil {
		return err
	}
	cfg.Log, cfg.Metrics = rt.Log, rt.Metrics
	b, err := bus.Open(ctx, cfg.Config)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()

	artifacts, err := openArtifacts(ctx, cfg.ArtifactURL)
	if err != nil {
		return err
	}
	defer func() { _ = artifacts.Close() }()

	c := &coordinator{
		artifactStore: artifacts,
		store:         &store{bus: b, keep: cfg.KeepFinished, log: rt.Log, now: func() time.Time { return time.Now().UTC() }},
		operator:      inspect.New(b),
		machine:       newMachine(cfg), defaults: stageDefaults{cfg.StageTimeout, cfg.StageAttempts}, metrics: newMetrics(rt.Metrics),
	}
	rt.Metrics.MustRegister(taskGauge{c.store})
	rt.Ready("redis", b.Ping)
	rt.Ready("http", func(context.Context) error { // not ready before clients can connect
		if rt.Addr("HTTP_ADDR") == "" {
			return errors.New("HTTP_ADDR is not listening yet")
		}
		return nil
	})

	// A failing part ends the others, and the process with its error.
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	var mu sync.Mutex
	var failures []error
	part := func(f func() error) {
		parts.Go(func() {
			if err := f(); err != nil { // of work, or of the drain
				mu.Lock()
				failures = append(failures, err)
				mu.Unlock()
				stop()
			}
		})
	}
	part(func() error { return rt.Serve(ctx, "HTTP_ADDR", cfg.HTTPAddr, c.handler(guard, gate)) })
	part(func() error { return c.watchDeadlines(ctx) })
	part(func() error {
		return consumer.Run(ctx, b, consumer.Subscription{Group: group, Types: []events.Type{events.A2AResponse}, Handle: c.heed})
	})
	<-ctx.Done()
	parts.Wait()
	return errors.Join(failures...)
}

// coordinator is what the API, the responses and the deadlines act on.
type coordinator struct {
	store    *store
	operator *inspect.Inspector
	machine  machine
	defaults stageDefaults
	metrics  *metrics

	artifactStore *artifact.Store
}
