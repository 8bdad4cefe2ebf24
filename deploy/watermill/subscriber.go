package watermill

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

// Config of a Subscriber. The zero value of each field is its documented default.
type Config struct {
	Bus           bus.Config    // Prefix comes before the topic's; Member must stay empty, each subscription is a member
	Group         string        // consumer group; empty: a new one for each subscription
	AckWait       time.Duration // a message without Ack comes again; 30 s
	MaxDeliveries int           // attempts before the dead letter; 5
	Prefetch      int           // messages a subscription holds for itself, about; 100
}

// Subscriber makes each subscription a member of a group. It may be used from any
// goroutine.
type Subscriber struct {
	cfg     Config
	ctx     context.Context // ends with Close
	end     context.CancelFunc
	mu      sync.Mutex // a subscription begins before Close or not at all
	running sync.WaitGroup
}

var _ message.Subscriber = (*Subscriber)(nil)

var (
	errClosed = errors.New("watermill: the subscription has ended")
	errNacked = errors.New("watermill: refused by Nack")
	errUnread = errors.New("watermill: nobody takes messages from the channel")
	errNoAck  = errors.New("watermill: neither Ack nor Nack in time")
)

// NewSubscriber opens nothing yet.
func NewSubscriber(cfg Config) *Subscriber {
	if cfg.Prefetch == 0 {
		cfg.Prefetch = 100
	}
	ctx, end := context.WithCancel(context.Background())
	return &Subscriber{cfg: cfg, ctx: ctx, end: end}
}

// Subscribe joins the group. The channel gives one message at a time and is closed
// when ctx ends or the Subscriber is closed; what was not acknowledged by then
// goes to the group's other members or to its next one.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, errClosed
	}
	ctx, end := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, end)
	finish := func() { stop(); end() }

	opening, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	b, err := bus.Open(opening, topicConfig(s.cfg.Bus, topic))
	if err != nil {
		finish()
		return nil, err
	}
	group := s.cfg.Group
	if group == "" {
		group = "watermill-" + uuid.NewString()
	}
	sub := &subscription{ctx: ctx, out: make(chan *message.Message)}
	s.running.Go(func() {
		defer finish()
		defer close(sub.out)
		log := s.cfg.Bus.Log
		if err := consumer.Run(ctx, b, consumer.Subscription{Group: group, Types: []events.Type{carrier}, Handle: sub.handle,
			Concurrency: 1, Prefetch: s.cfg.Prefetch, HandlerTimeout: s.cfg.AckWait, MaxDeliveries: s.cfg.MaxDeliveries}); err != nil {
			log.Error().Err(err).Str("topic", topic).Msg("subscription ended")
		}
		if err := b.Close(); err != nil {
			log.Warn().Err(err).Str("topic", topic).Msg("closing the connection to Redis failed")
		}
	})
	return sub.out, nil
}

// Close ends all subscriptions and waits until they have left their groups.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// subscription is one channel.
type subscription struct {
	ctx context.Context
	out chan *message.Message
}

// handle passes one message on and waits for its verdict. Only a message that was
// taken and refused, or forgotten, costs an attempt.
func (s *subscription) handle(ctx context.Context, m consumer.Message) error {
	msg, err := fromEvent(m.Event)
	if err != nil {
		return consumer.Permanent(err)
	}
	msgCtx, done := context.WithCancel(s.ctx) // Watermill promises the values and the end of Subscribe's context
	defer done()
	msg.SetContext(msgCtx)
	select {
	case s.out <- msg:
	case <-s.ctx.Done():
		return consumer.Unavailable(errClosed)
	case <-ctx.Done():
		return consumer.Unavailable(errUnread)
	}
	select {
	case <-msg.Acked():
		return nil
	case <-msg.Nacked():
		return errNacked
	case <-s.ctx.Done():
		err = consumer.Unavailable(errClosed)
	case <-ctx.Done():
		err = errNoAck
	}
	select { // an Ack just before the end counts
	case <-msg.Acked():
		return nil
	default:
		return err
	}
}
