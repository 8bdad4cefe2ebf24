package main

import (
	"context"

	"agentbus/pkg/agent"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/service"
)

// config is the environment of the process.
type config struct {
	bus.Config
	agent.Settings
}

// run is the agent, until ctx ends and its tasks are done.
func run(ctx context.Context, cfg config, rt *service.Runtime) error {
	g, err := newGenerator()
	if err != nil {
		return err
	}
	return agent.Serve(ctx, events.Generation, cfg.Settings, cfg.Config, g, rt)
}
