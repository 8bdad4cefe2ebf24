package main

import (
	"errors"
	"fmt"
	"strings"

	"agentbus/pkg/events/bus"
)

// Config is read from the environment.
type Config struct {
	bus.Config

	Stdout     bool     `envconfig:"LOG_STDOUT" default:"true" desc:"write the lines to stdout; the service's own log goes to stderr"`
	File       string   `envconfig:"LOG_FILE" desc:"also write the lines to this file; rotated ones stay beside it with their time in the name"`
	FileMaxMB  int      `envconfig:"LOG_FILE_MAX_MB" default:"100" unit:"MiB" desc:"rotate the file before it grows larger"`
	FileKeep   int      `envconfig:"LOG_FILE_KEEP" default:"5" unit:"files" desc:"rotated files kept; 0 keeps all"`
	FileGzip   bool     `envconfig:"LOG_FILE_GZIP" default:"false" desc:"compress rotated files"`
	RedactKeys []string `envconfig:"LOG_REDACT_KEYS" default:"password,passwd,passphrase,pwd,secret,token,authorization,api_key,access_key,private_key,credential,cookie,signature" desc:"fields whose values are redacted at any depth: their name contains one of these, whatever its case and punctuation"`
}

// minFileMB is more than the longest line: an event has at most 1 MiB.
const minFileMB = 10

// Validate implements the optional method of configurations.
func (c *Config) Validate() error {
	if !c.Stdout && c.File == "" {
		return errors.New("LOG_STDOUT=false: then LOG_FILE must name a file, or nothing is written")
	}
	if c.FileMaxMB < minFileMB {
		return fmt.Errorf("LOG_FILE_MAX_MB=%d: must be at least %d", c.FileMaxMB, minFileMB)
	}
	if c.FileKeep < 0 {
		return fmt.Errorf("LOG_FILE_KEEP=%d: must be 0 or more", c.FileKeep)
	}
	for _, k := range c.RedactKeys {
		if strings.TrimSpace(k) == "" {
			return fmt.Errorf("LOG_REDACT_KEYS=%q: has an empty name, which every field contains", strings.Join(c.RedactKeys, ","))
		}
	}
	return nil
}
