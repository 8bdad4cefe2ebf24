package watermill

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// openPatience bounds the wait for a Redis that does not answer when a topic is
// used for the first time; as long as a publish waits.
const openPatience = 30 * time.Second

// Publisher publishes to the bus of each topic. It may be used from any goroutine.
type Publisher struct {
	cfg bus.Config

	mu     sync.Mutex
	topics map[string]*bus.Bus // opened when first published to
	closed bool
}

var _ message.Publisher = (*Publisher)(nil)

// NewPublisher takes the configuration of the topics' buses; their prefix is
// cfg.Prefix and the topic. Nothing is opened yet.
func NewPublisher(cfg bus.Config) *Publisher {
	return &Publisher{cfg: cfg, topics: make(map[string]*bus.Bus)}
}

// Publish returns when Redis has the messages, or when the context of one of them
// ends. After an error some may have been added; publishing the same ones again
// adds each once.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	evs := make([]events.Event, len(messages))
	for i, msg := range messages {
		var err error
		if evs[i], err = toEvent(msg); err != nil {
			return err
		}
		stop := context.AfterFunc(msg.Context(), func() { cancel(context.Cause(msg.Context())) })
		defer stop()
	}
	b, err := p.bus(ctx, topic)
	if err != nil {
		return err
	}
	_, err = b.Publish(ctx, evs...)
	return err
}

func (p *Publisher) bus(ctx context.Context, topic string) (*bus.Bus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.New("watermill: publish on a closed publisher")
	}
	if b := p.topics[topic]; b != nil {
		return b, nil
	}
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	b, err := bus.Open(ctx, topicConfig(p.cfg, topic))
	if err == nil {
		p.topics[topic] = b
	}
	return b, err
}

// Close publishes what is still on its way. Closing again does nothing.
func (p *Publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for topic, b := range p.topics {
		errs = append(errs, b.Close())
		delete(p.topics, topic)
	}
	return errors.Join(errs...)
}
