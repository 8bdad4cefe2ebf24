// Package watermill lets the bus be used through Watermill's Publisher and
// Subscriber, so that Watermill's universal suite can judge it. No service uses
// it; it is a module of its own to keep Watermill out of theirs.
//
// # What a topic is
//
// The bus knows a closed catalogue of event types, Watermill any topic. Each topic
// is a bus of its own: a key prefix, so its streams, groups, numbers and dead
// letters are no other topic's. The alternative, one bus with the topic as the
// workflow's id, would hand every group the messages of all topics, and would take
// one message that is sent to two topics for a repeat. Inside, all messages are
// one workflow, so that they have one order.
//
// # What holds
//
//   - Delivery is at least once. Ack acknowledges in Redis after it was called.
//   - Nack is a handler's error: the message comes again after a back-off, and
//     after Config.MaxDeliveries attempts it is a dead letter. Watermill itself
//     has no limit. While a message waits for its next attempt those behind it
//     pass, so an order holds among messages that are not refused.
//   - A message without Ack or Nack after Config.AckWait is as one refused. One that
//     nobody takes from the channel loses no attempt.
//   - The order is that of publishing for a group of one subscriber. Several
//     share the messages, each its own in order. Messages whose way to a
//     subscriber was cut, by a Redis that died, come up to 10 s late.
//   - A new group begins with the oldest message kept. A group is for good: what it has
//     not acknowledged is not trimmed below the hard cap.
//   - The same message UUID in a topic within the dedup window (2 min) is one
//     message: that is what makes trying a publish again safe. A message without
//     UUID is always a new one.
package watermill
