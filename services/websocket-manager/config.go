package main

import (
	"fmt"
	"time"

	"agentbus/pkg/events/bus"
	"agentbus/services/websocket-manager/live"
	"agentbus/services/websocket-manager/ws"
)

// Config is read from the environment.
type Config struct {
	bus.Config

	HTTPAddr     string        `envconfig:"HTTP_ADDR" default:"127.0.0.1:8081" desc:"address of the page and of /ws"`
	AllowedHosts []string      `envconfig:"ALLOWED_HOSTS" desc:"host:port by which browsers may reach this server, checked in Host and Origin; default: localhost, 127.0.0.1 and [::1] with the port listened on"`
	Entries      int           `envconfig:"LIVE_ENTRIES" default:"2000" unit:"events" desc:"events of one workflow kept for the live view; the same in all replicas"`
	TTL          time.Duration `envconfig:"LIVE_TTL" default:"24h" desc:"how long they outlive the workflow's latest event"`
	Rows         int           `envconfig:"LIVE_ROWS" default:"1000" unit:"workflows" desc:"length of the list"`
	GapWait      time.Duration `envconfig:"LIVE_GAP_WAIT" default:"35s" desc:"how long a missing event is waited for before it is told as a gap; longer than the 30s in which a dead member's events move"`
	MaxClients   int           `envconfig:"WS_MAX_CLIENTS" default:"10000" unit:"clients" desc:"WebSocket connections at once"`
	MaxLag       int64         `envconfig:"WS_MAX_LAG" default:"1000" unit:"events" desc:"a client further behind than this, after it had caught up, is cut off with 4408"`
	WriteTimeout time.Duration `envconfig:"WS_WRITE_TIMEOUT" default:"10s" desc:"a client that takes no frame for so long is dropped"`
	PingEvery    time.Duration `envconfig:"WS_PING_EVERY" default:"20s" desc:"pause between pings, and the time for an answer"`
}

// Validate implements the optional method of configurations.
func (c *Config) Validate() error {
	for name, n := range map[string]int64{"LIVE_ENTRIES": int64(c.Entries), "LIVE_ROWS": int64(c.Rows), "WS_MAX_CLIENTS": int64(c.MaxClients), "WS_MAX_LAG": c.MaxLag} {
		if n < 1 {
			return fmt.Errorf("%s=%d: must be 1 or more", name, n)
		}
	}
	for name, d := range map[string]time.Duration{"LIVE_TTL": c.TTL, "LIVE_GAP_WAIT": c.GapWait, "WS_WRITE_TIMEOUT": c.WriteTimeout, "WS_PING_EVERY": c.PingEvery} {
		if d < 10*time.Millisecond {
			return fmt.Errorf("%s=%s: must be 10ms or more", name, d)
		}
	}
	if _, err := ws.NewGuard(c.AllowedHosts); err != nil {
		return fmt.Errorf("ALLOWED_HOSTS: %w", err)
	}
	return nil
}

func (c *Config) limits() live.Limits {
	return live.Limits{Entries: c.Entries, TTL: c.TTL, Rows: c.Rows}
}
