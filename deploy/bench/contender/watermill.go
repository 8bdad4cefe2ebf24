package contender

import (
	"context"
	"errors"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"

	"agentbus/deploy/bench/workload"
	"agentbus/pkg/events"
)

// mill is Watermill with its Redis Streams, as its documentation sets it up: a topic per type, a subscriber
// per group, which acknowledges each message before it gets the next of the topic.
type mill struct {
	publisher   *redisstream.Publisher
	subscribers []*redisstream.Subscriber
}

// Watermill starts it.
func Watermill(ctx context.Context, s Setup) (Contender, error) {
	m := &mill{}
	log := watermill.NopLogger{}
	rdb, err := redisClient(s.URL) // each closes its own
	if err != nil {
		return nil, err
	}
	if m.publisher, err = redisstream.NewPublisher(redisstream.PublisherConfig{Client: rdb}, log); err != nil {
		return nil, err
	}
	for g := range s.Groups {
		rdb, err := redisClient(s.URL)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		sub, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{Client: rdb, ConsumerGroup: groupName(g), Consumer: "only"}, log)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		m.subscribers = append(m.subscribers, sub)
		for _, spec := range events.Catalogue() {
			messages, err := sub.Subscribe(ctx, stream(spec.Type))
			if err != nil {
				return nil, errors.Join(err, m.Close())
			}
			go func() { // ends when the subscriber is closed
				for msg := range messages {
					s.Handled(g, workload.NumberIn(string(msg.Payload)))
					msg.Ack()
				}
			}()
		}
	}
	return m, nil
}

func (m *mill) Publish(_ context.Context, batch []workload.Event) error {
	for _, e := range batch {
		if err := m.publisher.Publish(stream(e.Event.Type), message.NewMessage(e.Event.ID, e.JSON())); err != nil {
			return err
		}
	}
	return nil
}

func (m *mill) Close() error {
	var errs []error
	for _, sub := range m.subscribers {
		errs = append(errs, sub.Close())
	}
	return errors.Join(append(errs, m.publisher.Close())...)
}
