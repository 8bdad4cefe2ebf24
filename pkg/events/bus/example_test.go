package bus_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

func ExampleBus_Publish() {
	ctx := context.Background()
	b, err := bus.Open(ctx, bus.Config{URL: "redis://127.0.0.1:6379/0"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = b.Close() }()

	e, err := events.New(events.WorkflowProgressed, "wf-1", "my-agent",
		&events.WorkflowProgressedData{Percent: 40, Stage: events.Audit, StagePercent: 60})
	if err != nil {
		log.Fatal(err) // names the field that is wrong
	}
	receipts, err := b.Publish(ctx, e)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("event number", receipts[0].Seq, "of its workflow")
}

// A member of a group, by package consumer.
func Example() {
	ctx := context.Background()
	b, err := bus.Open(ctx, bus.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = b.Close() }()

	types, err := events.Match("workflow.*", "*.failed")
	if err != nil {
		log.Fatal(err)
	}
	// Blocks until ctx ends and the work in hand is done.
	err = consumer.Run(ctx, b, consumer.Subscription{Group: "mailers", Types: types,
		Handle: func(ctx context.Context, m consumer.Message) error {
			if m.Event.SourceAgent == "" {
				return consumer.Permanent(errors.New("nobody sent it")) // dead letter
			}
			return nil // acknowledge
		}})
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleBus_Commit() {
	ctx := context.Background()
	b, err := bus.Open(ctx, bus.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = b.Close() }()

	started, err := events.New(events.WorkflowStarted, "wf-1", events.Coordinator, &events.WorkflowStartedData{Stage: events.Generation})
	if err != nil {
		log.Fatal(err)
	}
	key := b.Names().Workflow("wf-1")
	state, err := b.Load(ctx, key)
	if err != nil {
		log.Fatal(err)
	}
	_, err = b.Commit(ctx, bus.Change{Key: key, Rev: state.Rev, Doc: []byte(`{"state":"running"}`)}, started)
	if errors.Is(err, bus.ErrConflict) {
		fmt.Println("somebody else was quicker: load it again")
	}
}
