package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/service"
	"agentbus/services/websocket-manager/live"
	"agentbus/services/websocket-manager/page"
	"agentbus/services/websocket-manager/ws"
)

// group is the consumer group of all replicas.
const group = "websocket_workers"

// drainClients is how long clients have to answer the close frame.
const drainClients = 5 * time.Second

func run(ctx context.Context, cfg Config, rt *service.Runtime) error {
	all, err := events.Match("*")
	if err != nil {
		return err
	}
	guard, err := ws.NewGuard(cfg.AllowedHosts)
	if err != nil {
		return fmt.Errorf("ALLOWED_HOSTS: %w", err)
	}
	cfg.Log, cfg.Metrics = rt.Log, rt.Metrics
	b, err := bus.Open(ctx, cfg.Config)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()

	feed := live.NewFeed(b.Client(), b.Names(), cfg.limits(), cfg.GapWait, rt.Metrics)
	defer feed.Close()
	sockets := ws.New(ws.Config{
		Feed: feed, Member: b.Member(), Metrics: rt.Metrics,
		MaxClients: cfg.MaxClients, MaxLag: cfg.MaxLag, WriteTimeout: cfg.WriteTimeout, PingEvery: cfg.PingEvery,
	})
	mux := http.NewServeMux()
	mux.Handle("GET /ws", sockets)
	mux.Handle("GET /", page.Handler())

	// One that fails ends the other.
	both, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		defer stop()
		served <- rt.Serve(both, "HTTP_ADDR", cfg.HTTPAddr, guard.Wrap(mux))
	}()
	go func() {
		<-both.Done()
		sockets.StartDrain()
	}()
	rt.Ready("redis", b.Ping)
	rt.Ready("http", func(context.Context) error { // not ready before clients can connect
		if rt.Addr("HTTP_ADDR") == "" {
			return errors.New("HTTP_ADDR is not listening yet")
		}
		return nil
	})

	w := live.NewWriter(b.Client(), b.Names(), cfg.limits(), rt.Metrics)
	consumed := b.Consume(both, bus.Subscription{Group: group, Types: all, HandleBatch: w.Handle})
	stop()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainClients)
	defer cancel()
	return errors.Join(consumed, <-served, sockets.Drain(drain))
}
