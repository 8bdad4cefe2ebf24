package main

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"agentbus/pkg/events/bus"
)

// Config is read from the environment.
type Config struct {
	bus.Config

	DatabaseURL  string        `envconfig:"DATABASE_URL" secret:"true" default:"postgres://agentbus@127.0.0.1:5432/agentbus?sslmode=disable" desc:"PostgreSQL 14 or newer; the user must own its schema, since migrations run at start"`
	Batch        int           `envconfig:"DB_BATCH" default:"1000" unit:"events" desc:"most events stored by one transaction"`
	WriteTimeout time.Duration `envconfig:"DB_WRITE_TIMEOUT" default:"20s" desc:"how long storing one batch may take before the database counts as unavailable"`
	Migrate      string        `envconfig:"DB_MIGRATE" default:"start" desc:"when migrations run: start; only, to migrate and exit with 0; never, where a job with other rights does it"`
}

// Validate implements the optional method of configurations.
func (c *Config) Validate() error {
	if c.Batch < 1 || c.Batch > 10_000 {
		return fmt.Errorf("DB_BATCH=%d: must be 1 to 10000", c.Batch)
	}
	if c.WriteTimeout < time.Second {
		return fmt.Errorf("DB_WRITE_TIMEOUT=%s: must be at least 1s", c.WriteTimeout)
	}
	if c.Migrate != "" && c.Migrate != migrateAtStart && c.Migrate != migrateOnly && c.Migrate != migrateNever {
		return fmt.Errorf("DB_MIGRATE=%q: must be %s, %s or %s", c.Migrate, migrateAtStart, migrateOnly, migrateNever)
	}
	_, err := c.pool()
	return err
}

// Values of DB_MIGRATE.
const (
	migrateAtStart = "start"
	migrateOnly    = "only"
	migrateNever   = "never"
)

// pool is the configuration of the connections. Few are needed: batches are written one after the
// other, and readiness and a migration's lock take one each.
func (c *Config) pool() (*pgxpool.Config, error) {
	p, err := pgxpool.ParseConfig(c.DatabaseURL)
	if err != nil {
		// ParseConfig's text holds the URL, with its password masked.
		return nil, fmt.Errorf("DATABASE_URL: must look like postgres://user@host:5432/database: %w", err)
	}
	p.MaxConns = max(p.MaxConns, 4)
	p.ConnConfig.ConnectTimeout = 5 * time.Second
	if _, named := p.ConnConfig.RuntimeParams["application_name"]; !named {
		p.ConnConfig.RuntimeParams["application_name"] = "agentbus-db-writer"
	}
	return p, nil
}
