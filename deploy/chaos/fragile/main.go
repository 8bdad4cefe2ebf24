// Command fragile is a member whose handler kills its process: for the tests, which build and run it.
//
// It prints the id of each event that it has handled, a line each, and ends with exit code 1 in the
// middle of handling an event of the workflow in FRAGILE_POISON, or with 3 when its stdin does. REDIS_URL and the BUS_ variables say
// where and who it is.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/kelseyhightower/envconfig"
	"github.com/rs/zerolog"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { // ends with whoever started it, however that one ended
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	if err := run(ctx, os.Getenv("FRAGILE_POISON")); err != nil {
		fmt.Fprintln(os.Stderr, "fragile:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, poison string) error {
	var cfg bus.Config
	if err := envconfig.Process("", &cfg); err != nil {
		return err
	}
	cfg.Log = zerolog.New(os.Stderr)
	b, err := bus.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	return consumer.Run(ctx, b, consumer.Subscription{
		Group: "fragile",
		Types: []events.Type{events.WorkflowProgressed},
		Handle: func(_ context.Context, m consumer.Message) error {
			if m.Event.WorkflowID == poison {
				os.Exit(1)
			}
			_, err := fmt.Println(m.Event.ID) // one write, before the acknowledgement
			return err
		},
	})
}
