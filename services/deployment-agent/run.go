package main

import (
	"context"
	"errors"

	"agentbus/pkg/agent"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/service"
)

// config is the environment of the process.
type config struct {
	bus.Config
	agent.Settings
	DeployDir  string `envconfig:"DEPLOY_DIR" default:"data/deploy" desc:"folder of the releases, one directory per service"`
	DeployKeep int    `envconfig:"DEPLOY_KEEP" default:"3" desc:"old releases of a service that are kept beside the current one"`
}

// Validate implements the optional method of configurations.
func (c *config) Validate() error {
	if c.DeployDir == "" || c.DeployKeep < 0 {
		return errors.Join(c.Settings.Validate(), errors.New("DEPLOY_DIR must name a folder and DEPLOY_KEEP be 0 or more"))
	}
	return c.Settings.Validate()
}

// run is the agent, until ctx ends and its tasks are done.
func run(ctx context.Context, cfg config, rt *service.Runtime) error {
	// Releases stop after the last deployment ended, not before.
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	supervised := make(chan error, 1)
	go func() { supervised <- newSupervisor(cfg.DeployDir, rt.Log).run(watch) }()
	err := agent.Serve(ctx, events.Deployment, cfg.Settings, cfg.Config, &deployer{runner: cfg.Runner(), dir: cfg.DeployDir, keep: cfg.DeployKeep}, rt)
	stop()
	return errors.Join(err, <-supervised)
}
