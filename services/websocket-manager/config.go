package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"agentbus/pkg/access"
	"agentbus/pkg/events/bus"
	"agentbus/services/websocket-manager/live"
)

// Config is read from the environment.
type Config struct {
	bus.Config
	access.Settings

	HTTPAddr     string        `envconfig:"HTTP_ADDR" default:"127.0.0.1:8081" desc:"address of the page and of /ws"`
	Coordinator  string        `envconfig:"COORDINATOR_URL" default:"http://127.0.0.1:8080" desc:"where the page's requests to start, cancel and list workflows go on to"`
	DatabaseURL  string        `envconfig:"DATABASE_URL" secret:"true" desc:"PostgreSQL of the db-writer, for the history of what Redis does not keep any more; without it that is told as a gap"`
	Entries      int           `envconfig:"LIVE_ENTRIES" default:"2000" unit:"events" desc:"events of one workflow kept for the live view; the same in all replicas"`
	TTL          time.Duration `envconfig:"LIVE_TTL" default:"24h" desc:"how long they outlive the workflow's latest event"`
	Rows         int           `envconfig:"LIVE_ROWS" default:"1000" unit:"workflows" desc:"length of the list"`
	GapWait      time.Duration `envconfig:"LIVE_GAP_WAIT" default:"35s" desc:"how long a missing event is waited for before it is told as a gap; longer than the 30s in which a dead member's events move"`
	MaxClients   int           `envconfig:"WS_MAX_CLIENTS" default:"10000" unit:"clients" desc:"WebSocket connections at once"`
	MaxPerAddr   int           `envconfig:"WS_MAX_PER_ADDRESS" default:"1000" unit:"clients" desc:"connections of one client address"`
	UpgradeRate  int           `envconfig:"WS_UPGRADES_PER_SECOND" default:"500" unit:"clients" desc:"new connections per second, and twice that at once"`
	Proxies      []string      `envconfig:"TRUSTED_PROXIES" desc:"networks such as 10.0.0.0/8 of load balancers whose X-Forwarded-For names the client's address"`
	MaxLag       int64         `envconfig:"WS_MAX_LAG" default:"1000" unit:"events" desc:"a client that takes over 1 s for what it is given, and is further behind than this by then, is cut off with 4408"`
	WriteTimeout time.Duration `envconfig:"WS_WRITE_TIMEOUT" default:"10s" desc:"a client that takes no frame for so long is dropped"`
	PingEvery    time.Duration `envconfig:"WS_PING_EVERY" default:"20s" desc:"pause between pings, and the time for an answer"`
}

// Validate implements the optional method of configurations.
func (c *Config) Validate() error {
	for name, n := range map[string]int64{"LIVE_ENTRIES": int64(c.Entries), "LIVE_ROWS": int64(c.Rows), "WS_MAX_CLIENTS": int64(c.MaxClients), "WS_MAX_PER_ADDRESS": int64(c.MaxPerAddr), "WS_UPGRADES_PER_SECOND": int64(c.UpgradeRate), "WS_MAX_LAG": c.MaxLag} {
		if n < 1 {
			return fmt.Errorf("%s=%d: must be 1 or more", name, n)
		}
	}
	for name, d := range map[string]time.Duration{"LIVE_TTL": c.TTL, "LIVE_GAP_WAIT": c.GapWait, "WS_WRITE_TIMEOUT": c.WriteTimeout, "WS_PING_EVERY": c.PingEvery} {
		if d < 10*time.Millisecond {
			return fmt.Errorf("%s=%s: must be 10ms or more", name, d)
		}
	}
	if _, err := c.coordinator(); err != nil {
		return err
	}
	if _, err := c.proxies(); err != nil {
		return err
	}
	return c.Settings.Validate()
}

func (c *Config) coordinator() (*url.URL, error) {
	u, err := url.Parse(c.Coordinator)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("COORDINATOR_URL=%q: must be a URL such as http://127.0.0.1:8080", c.Coordinator)
	}
	return u, nil
}

func (c *Config) proxies() (out []netip.Prefix, err error) {
	for _, text := range c.Proxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("TRUSTED_PROXIES=%q: must be networks such as 10.0.0.0/8", text)
		}
		out = append(out, p)
	}
	return out, nil
}

func (c *Config) limits() live.Limits {
	return live.Limits{Entries: c.Entries, TTL: c.TTL, Rows: c.Rows}
}
