package main

import (
	"time"

	"context"
	"io"
	"os"

	"gopkg.in/natefinch/lumberjack.v2"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/service"
	"agentbus/services/log-aggregator/redact"
)

// group is the consumer group of all replicas.
const group = "log_aggregators"

func run(ctx context.Context, cfg Config, rt *service.Runtime) error {
	return aggregate(ctx, cfg, rt, os.Stdout)
}

// aggregate is run with the place of the lines given.
func aggregate(ctx context.Context, cfg Config, rt *service.Runtime, stdout io.Writer) error {
	all, err := events.Match("*")
	if err != nil {
		return err
	}
	var sinks []*sink
	if cfg.Stdout {
		sinks = append(sinks, &sink{name: "stdout", out: stdout})
	}
	if cfg.File != "" {
		file := &lumberjack.Logger{Filename: cfg.File, MaxSize: cfg.FileMaxMB, MaxBackups: cfg.FileKeep, Compress: cfg.FileGzip}
		defer func() { _ = file.Close() }()
		sinks = append(sinks, &sink{name: "file", out: file})
	}
	cfg.Log, cfg.Metrics = rt.Log, rt.Metrics
	b, err := bus.Open(ctx, cfg.Config)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()

	a := newAggregator(rt.Metrics, rt.Log, redact.New(cfg.RedactKeys), sinks...)
	rt.Ready("redis", b.Ping)
	return consumer.Run(ctx, b, consumer.Subscription{Group: group, Types: all, HandleBatch: a.handle, Gather: 5 * time.Millisecond})
}
