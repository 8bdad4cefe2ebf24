package main

import "agentbus/pkg/events/bus"

// Config is read from the environment. A field of its own is a setting, such as
//
//	URL string `envconfig:"WEBHOOK_URL" required:"true" desc:"where events are sent"`
type Config struct {
	bus.Config
}
