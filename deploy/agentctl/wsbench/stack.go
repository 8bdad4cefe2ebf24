package wsbench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"agentbus/deploy/localstack"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

const service = "websocket-manager"

// stack is a fresh websocket-manager and a bus to publish on.
type stack struct {
	*localstack.Stack
	bus *bus.Bus
	dir string
}

func start(ctx context.Context, bin string, clients int) (*stack, error) {
	dir, err := os.MkdirTemp("", "agentbus-bench-")
	if err != nil {
		return nil, err
	}
	s := &stack{dir: dir}
	most := strconv.Itoa(max(clients, 1))
	s.Stack, err = localstack.Start(ctx, localstack.Options{
		Dir: dir, Bin: bin, FreePorts: true, Replicas: map[string]int{"": 0, service: 1},
		// All clients have one address here, and come as fast as they can.
		Env: map[string]map[string]string{service: {"WS_MAX_CLIENTS": most, "WS_MAX_PER_ADDRESS": most, "WS_UPGRADES_PER_SECOND": "100000"}},
	})
	if err == nil {
		s.bus, err = bus.Open(ctx, s.BusConfig())
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *stack) stop() {
	if s.bus != nil {
		_ = s.bus.Close() // nothing is in hand
	}
	if s.Stack != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the measured stack:", err)
		}
	}
	_ = os.RemoveAll(s.dir) // a folder of the system's temporary ones
}

func workflow(n int) string { return "bench-" + strconv.Itoa(n) }

// publish sends perSecond events in each second of d, spread over the workflows; each event's timestamp is
// the moment it is due to be handed to the bus, so that a bus that falls behind shows.
func (s *stack) publish(ctx context.Context, perSecond, workflows int, d time.Duration) error {
	const beat = 5 * time.Millisecond
	tick := time.NewTicker(beat)
	defer tick.Stop()
	begun, sent := time.Now(), 0
	all := int(d.Seconds() * float64(perSecond))
	failed := make(chan error, 1)
	for sent < all {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		var batch []events.Event
		for due := min(all, int(time.Since(begun).Seconds()*float64(perSecond))); sent < due; sent++ {
			e, err := events.New(events.WorkflowProgressed, workflow(sent%workflows), "bench",
				&events.WorkflowProgressedData{Percent: sent % 101, Stage: events.Audit, Message: "measuring the live view"})
			if err != nil {
				return err
			}
			batch = append(batch, e)
		}
		if len(batch) == 0 {
			continue
		}
		go func() {
			if _, err := s.bus.Publish(ctx, batch...); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		}()
	}
	return nil
}
