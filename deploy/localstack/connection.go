package localstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"agentbus/pkg/events/bus"

	"github.com/kelseyhightower/envconfig"
)

// Connection is how others reach a running stack: Start writes it into the folder, Stop removes it.
type Connection struct {
	RedisURL    string `json:"redis_url"`
	DatabaseURL string `json:"database_url"`
	Coordinator string `json:"coordinator"`
	WebSocket   string `json:"websocket"`
}

func connectionFile(dir string) string { return filepath.Join(dir, "stack.json") }

// Running reads the connection of the stack that runs in the folder; os.ErrNotExist when none does.
func Running(dir string) (Connection, error) {
	var c Connection
	data, err := os.ReadFile(connectionFile(dir))
	if err != nil {
		return c, err
	}
	// A stack that was killed left its file behind, but not its lock.
	if lock, err := lockDir(dir); err == nil {
		return c, errors.Join(lock.Close(), os.ErrNotExist)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%s: %w", connectionFile(dir), err)
	}
	return c, nil
}

// Connection is how this stack is reached.
func (s *Stack) Connection() Connection {
	return Connection{RedisURL: s.RedisURL, DatabaseURL: s.DatabaseURL,
		Coordinator: s.URL("coordinator-agent", "HTTP_ADDR"), WebSocket: s.URL("websocket-manager", "HTTP_ADDR")}
}

func (s *Stack) writeConnection() error {
	data, err := json.MarshalIndent(s.Connection(), "", "  ")
	if err != nil {
		return err
	}
	// The URLs may hold passwords.
	return os.WriteFile(connectionFile(s.opts.Dir), append(data, '\n'), 0o600)
}

// BusConfig is for reading the stack's groups as its services see them.
func (s *Stack) BusConfig() bus.Config {
	var c bus.Config
	_ = envconfig.Process("", &c) // the services have read the same environment, and started
	c.URL = s.RedisURL
	for name, value := range s.opts.Env[""] {
		if name == "BUS_PREFIX" {
			c.Prefix = value
		}
	}
	return c
}
