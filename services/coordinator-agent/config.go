package main

import (
	"fmt"
	"time"

	"agentbus/pkg/access"
	"agentbus/pkg/events/bus"
)

// Config is read from the environment.
type Config struct {
	bus.Config
	access.Settings

	HTTPAddr      string        `envconfig:"HTTP_ADDR" default:"127.0.0.1:8080" desc:"where the API listens"`
	ArtifactURL   string        `envconfig:"ARTIFACT_URL" default:"data/artifacts" desc:"where artifacts are kept, the same for all agents: a folder, file:///..., or s3://, azblob://, gs:// in binaries built with -tags s3, azblob, gcs"`
	AcceptTimeout time.Duration `envconfig:"ACCEPT_TIMEOUT" default:"20s" desc:"how long a request may stay unaccepted before the coordinator looks whether any agent for it is alive"`
	QueueTimeout  time.Duration `envconfig:"QUEUE_TIMEOUT" default:"1h" desc:"how long a request waits for living but busy agents"`
	SilentTimeout time.Duration `envconfig:"SILENT_TIMEOUT" default:"60s" desc:"how long an agent at work may be silent before its try counts as failed; agents report at least every 5s"`
	StageTimeout  time.Duration `envconfig:"STAGE_TIMEOUT" default:"15m" desc:"time limit of one try of a stage, where the workflow names none"`
	StageAttempts int           `envconfig:"STAGE_ATTEMPTS" default:"3" desc:"tries of a stage whose failure may pass, where the workflow names none"`
	KeepFinished  time.Duration `envconfig:"KEEP_FINISHED" default:"168h" desc:"how long a finished workflow stays in the API; PostgreSQL keeps it for good"`
}

// Validate implements the optional method of configurations.
func (c *Config) Validate() error {
	if err := c.Settings.Validate(); err != nil {
		return err
	}
	for name, d := range map[string]time.Duration{"ACCEPT_TIMEOUT": c.AcceptTimeout, "QUEUE_TIMEOUT": c.QueueTimeout,
		"STAGE_TIMEOUT": c.StageTimeout, "KEEP_FINISHED": c.KeepFinished} {
		if d < time.Second {
			return fmt.Errorf("%s=%s: must be at least 1s", name, d)
		}
	}
	if c.SilentTimeout < 10*time.Second {
		return fmt.Errorf("SILENT_TIMEOUT=%s: must be at least 10s, twice the time between an agent's reports", c.SilentTimeout)
	}
	if c.StageAttempts < 1 || c.StageAttempts > maxAttempts {
		return fmt.Errorf("STAGE_ATTEMPTS=%d: must be 1 to %d", c.StageAttempts, maxAttempts)
	}
	return nil
}
