package watermill

import (
	"os"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/rs/zerolog"

	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// features are the bus's own, said truthfully. Group "" is a new one for each
// subscription. CHAOS=full runs the suite at its full length.
func features(group string) tests.Features {
	return tests.Features{
		ConsumerGroups:                      true,
		ExactlyOnceDelivery:                 false,
		GuaranteedOrder:                     true,
		GuaranteedOrderWithSingleSubscriber: group != "", // several subscribers share a group's messages
		Persistent:                          true,
		NewSubscriberReceivesOldMessages:    group == "", // what a group has acknowledged it does not get again
		ForceShort:                          os.Getenv("CHAOS") != "full",
	}
}

func pubSub(cfg bus.Config, group string) (message.Publisher, message.Subscriber) {
	// Watermill refuses without limit, some messages six times in this suite.
	return NewPublisher(cfg), NewSubscriber(Config{Bus: cfg, Group: group, MaxDeliveries: 100})
}

func suite(t *testing.T, group string) {
	cfg := bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t), Log: zerolog.Nop()}
	// The suite's TestReconnect stays out for lack of a RestartServiceCommand; see ours.
	tests.TestPubSub(t, features(group),
		func(*testing.T) (message.Publisher, message.Subscriber) { return pubSub(cfg, group) },
		func(_ *testing.T, group string) (message.Publisher, message.Subscriber) { return pubSub(cfg, group) })
}

func TestSuiteWithARandomGroup(t *testing.T) { suite(t, "") }

func TestSuiteWithOneGroup(t *testing.T) { suite(t, "one") }
