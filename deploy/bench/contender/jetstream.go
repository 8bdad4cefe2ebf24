package contender

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"agentbus/deploy/bench/workload"
	"agentbus/pkg/events"
)

// jet is NATS JetStream: one stream in files, ids known again for two minutes, a durable consumer per
// group that acknowledges each message.
type jet struct {
	conn      *nats.Conn
	js        jetstream.JetStream
	consuming []jetstream.ConsumeContext
}

// JetStream starts it.
func JetStream(ctx context.Context, s Setup) (Contender, error) {
	conn, err := nats.Connect(s.URL)
	if err != nil {
		return nil, err
	}
	j := &jet{conn: conn}
	if j.js, err = jetstream.New(conn); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	all, err := j.js.CreateStream(ctx, jetstream.StreamConfig{Name: "events", Subjects: []string{"events.>"},
		Storage: jetstream.FileStorage, Duplicates: 2 * time.Minute})
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	for g := range s.Groups {
		consumer, err := all.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{Durable: groupName(g), AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			return nil, errors.Join(err, j.Close())
		}
		c, err := consumer.Consume(func(m jetstream.Msg) {
			s.Handled(g, workload.NumberIn(string(m.Data())))
			_ = m.Ack() // redelivered otherwise
		})
		if err != nil {
			return nil, errors.Join(err, j.Close())
		}
		j.consuming = append(j.consuming, c)
	}
	return j, nil
}

func (j *jet) Publish(ctx context.Context, batch []workload.Event) error {
	if len(batch) == 1 {
		_, err := j.js.Publish(ctx, subject(batch[0].Event.Type), batch[0].JSON(), jetstream.WithMsgID(batch[0].Event.ID))
		return err
	}
	acks := make([]jetstream.PubAckFuture, len(batch))
	for i, e := range batch {
		var err error
		if acks[i], err = j.js.PublishAsync(subject(e.Event.Type), e.JSON(), jetstream.WithMsgID(e.Event.ID)); err != nil {
			return err
		}
	}
	for _, a := range acks {
		select {
		case <-a.Ok():
		case err := <-a.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func subject(t events.Type) string { return "events." + string(t) }

func (j *jet) Close() error {
	for _, c := range j.consuming {
		c.Stop()
	}
	j.conn.Close()
	return nil
}
