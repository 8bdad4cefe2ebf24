// Command agentctl is the operator's tool: it starts the local stack, runs and follows workflows, and
// looks after groups and dead letters.
package main

import (
	"context"
	"os"

	"github.com/redis/go-redis/v9/logging"
)

func main() {
	logging.Disable() // what goes wrong is in the errors, once
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
