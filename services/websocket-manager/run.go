package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"agentbus/pkg/access"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/service"
	"agentbus/services/websocket-manager/api"
	"agentbus/services/websocket-manager/door"
	"agentbus/services/websocket-manager/history"
	"agentbus/services/websocket-manager/live"
	"agentbus/services/websocket-manager/page"
	"agentbus/services/websocket-manager/sse"
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
	guard, err := access.NewGuard(cfg.AllowedHosts)
	if err != nil {
		return fmt.Errorf("ALLOWED_HOSTS: %w", err)
	}
	gate, err := access.New(ctx, cfg.Settings, cfg.HTTPAddr, rt.Log)
	if err != nil {
		return err
	}
	coordinator, err := cfg.coordinator()
	if err != nil {
		return err
	}
	proxies, err := cfg.proxies()
	if err != nil {
		return err
	}
	cfg.Log, cfg.Metrics = rt.Log, rt.Metrics
	b, err := bus.Open(ctx, cfg.Config)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()

	feed := live.NewFeed(b.Client(), b.Names(), cfg.limits(), cfg.GapWait, rt.Metrics)
	defer feed.Close()
	past := &history.History{Feed: feed}
	var owners door.Past
	if cfg.DatabaseURL != "" {
		record, err := history.OpenRecord(ctx, cfg.DatabaseURL)
		if err != nil {
			return err
		}
		defer record.Close()
		past.Record, owners = record, record
	}
	entrance := door.New(b, gate, owners)

	// One that fails ends the other.
	both, stop := context.WithCancel(ctx)
	defer stop()
	sockets := ws.New(ws.Config{
		Feed: feed, Door: entrance, Member: b.Member(), Metrics: rt.Metrics,
		MaxClients: cfg.MaxClients, MaxPerAddress: cfg.MaxPerAddr, UpgradesPerSecond: cfg.UpgradeRate, TrustedProxies: proxies,
		MaxLag: cfg.MaxLag, WriteTimeout: cfg.WriteTimeout, PingEvery: cfg.PingEvery,
	})
	streams := sse.New(sse.Config{Feed: feed, Door: entrance, Draining: both.Done(), Metrics: rt.Metrics,
		MaxLag: cfg.MaxLag, WriteTimeout: cfg.WriteTimeout, PingEvery: cfg.PingEvery})
	own := api.Handler(api.Config{Gate: gate, Door: entrance, History: past, Streams: streams, Coordinator: api.Proxy(coordinator, rt.Log)})
	mux := http.NewServeMux()
	mux.Handle("GET /ws", sockets)
	mux.Handle("/v1/", own)
	mux.Handle("GET /openapi.json", own)
	mux.HandleFunc("GET /asyncapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(ws.AsyncAPI) // the client has gone away
	})
	mux.Handle("/", page.Handler())

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
	// Several batches at once: under load the round trip to Redis takes longer than its work.
	consumed := consumer.Run(both, b, consumer.Subscription{Group: group, Types: all, HandleBatch: w.Handle, Gather: 2 * time.Millisecond,
		Concurrency: 4, MaxBatch: 250})
	stop()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainClients)
	defer cancel()
	sockets.Drain(drain)
	return errors.Join(consumed, <-served)
}
