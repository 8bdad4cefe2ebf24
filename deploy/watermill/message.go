package watermill

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

const (
	carrier  = events.WorkflowProgressed // which type carries the messages says nothing
	workflow = "topic"                   // one for all: one order
)

// envelope is a Watermill message as an event's data. Its metadata is not the
// event's: Watermill allows any number of any keys. The payload becomes base64, so
// that about 780 kB fit into an event.
type envelope struct {
	UUID     string            `json:"uuid"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Payload  []byte            `json:"payload"`
}

// topicConfig is the bus of a topic. The topic is escaped, so that no topic's keys
// are another's and none chooses a slot of a cluster.
func topicConfig(cfg bus.Config, topic string) bus.Config {
	cfg.Prefix += url.QueryEscape(topic) + ":"
	return cfg
}

func toEvent(msg *message.Message) (events.Event, error) {
	data, err := json.Marshal(envelope{msg.UUID, msg.Metadata, msg.Payload})
	if err != nil {
		return events.Event{}, fmt.Errorf("message %s: %w", msg.UUID, err)
	}
	return events.Event{ID: eventID(msg.UUID), Type: carrier, WorkflowID: workflow, Timestamp: time.Now().UTC(),
		Data: data, SourceAgent: "watermill"}, nil
}

// eventID is the message's own where it is a UUID; Watermill accepts any text.
func eventID(id string) string {
	switch {
	case id == "":
		return uuid.NewString()
	case len(id) == 36 && uuid.Validate(id) == nil:
		return id
	default:
		return uuid.NewSHA1(uuid.Nil, []byte(id)).String()
	}
}

func fromEvent(e events.Event) (*message.Message, error) {
	var env envelope
	if err := json.Unmarshal(e.Data, &env); err != nil {
		return nil, fmt.Errorf("data is no Watermill message: %w", err)
	}
	msg := message.NewMessage(env.UUID, env.Payload)
	for k, v := range env.Metadata {
		msg.Metadata.Set(k, v)
	}
	return msg, nil
}
