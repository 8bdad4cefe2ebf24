package main

import (
	"fmt"
	"time"

	"agentbus/pkg/events/bus"
)

// Config is read from the environment.
type Config struct {
	bus.Config

	GroupsEvery time.Duration `envconfig:"GROUPS_EVERY" default:"5s" desc:"how often lag, age and dead letters of the groups are asked for"`
}

// Validate implements the optional method of configurations.
func (c *Config) Validate() error {
	if c.GroupsEvery < 100*time.Millisecond {
		return fmt.Errorf("GROUPS_EVERY=%s: must be at least 100ms", c.GroupsEvery)
	}
	return nil
}
