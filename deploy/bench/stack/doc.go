// Package stack is the real thing under load: the four consumer services as processes, a Redis and a
// PostgreSQL that commits, and events that are followed to where they go: a committed row, a frame in a
// client, a sample, a log line.
package stack
