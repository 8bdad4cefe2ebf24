package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

// asks tells whether a request is this command.
func asks(request []byte, command string) bool {
	return bytes.Contains(bytes.ToLower(request), []byte("\r\n"+command+"\r\n"))
}

// TestLostReplyToPublish: Redis has added the events, the publisher does not hear
// of it. Each has one effect in every group, with sinks that count every delivery.
func TestLostReplyToPublish(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fate verdict
		lost int64 // replies
	}{{"connection closed", disconnect, 100}, {"swallowed", swallow, 2}} { // a swallowed one costs the client's 5 s
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			srv := servertest.OwnRedis(t, devserver.RedisOptions{})
			l := ledger.New("writers", "logs")
			var last *bus.Bus
			for _, group := range []string{"writers", "logs"} {
				s := &sink{l: l, group: group}
				for range 2 {
					last = open(t, bus.Config{URL: srv.URL}, nil)
					consume(t, last, consumer.Subscription{Group: group, Handle: s.handle})
				}
			}
			p := newProxy(t, srv)
			producer := open(t, bus.Config{URL: p.url}, nil)
			var asked, lost atomic.Int64
			p.lose(func(request, _ []byte) verdict {
				if asks(request, "evalsha") && asked.Add(1)%3 == 0 && lost.Load() < c.lost {
					lost.Add(1)
					return c.fate
				}
				return pass
			})
			ld := startLoad(t, l, producer, 400)
			servertest.Eventually(t, time.Minute, func() error {
				if n := lost.Load(); n < c.lost {
					return fmt.Errorf("%d of %d replies were lost", n, c.lost)
				}
				return nil
			})
			since := time.Now()
			ld.stop()
			recovery := recovered(t, since, 30*time.Second, last, "writers", "logs")
			if r := l.Report(); r.Unknown > 0 {
				t.Errorf("%d publishes ended without an outcome; want all repeated until they had one", r.Unknown)
			}
			balanced(t, "reply to a publish: "+c.name, int(c.lost), l, recovery)
		})
	}
}

// TestLostReplyToXADD: a producer in another language repeats its XADD when the
// reply is lost, so the event stands in the stream twice. It has one effect.
func TestLostReplyToXADD(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{})
	l := ledger.New("writers", "logs")
	b := open(t, bus.Config{URL: srv.URL}, nil)
	for _, group := range []string{"writers", "logs"} {
		s := &sink{l: l, group: group}
		consume(t, b, consumer.Subscription{Group: group, Handle: s.handle})
	}
	p := newProxy(t, srv)
	o, err := redis.ParseURL(p.url)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries = -1
	producer := redis.NewClient(o)
	t.Cleanup(func() { _ = producer.Close() })
	var asked atomic.Int64
	p.lose(func(request, _ []byte) verdict {
		if asks(request, "xadd") && asked.Add(1)%2 == 1 {
			return disconnect
		}
		return pass
	})
	const events = 200
	for i := range events {
		e := event(t, fmt.Sprint("wf-", i%7), i)
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		l.Attempt(e)
		servertest.Eventually(t, 10*time.Second, func() error {
			return producer.XAdd(context.Background(), &redis.XAddArgs{Stream: b.Names().Stream(e.Type, 0), Values: []any{"data", raw}}).Err()
		})
		l.Outcome(e.ID, ledger.Acked)
	}
	since := time.Now()
	if n, err := client(t, srv.URL).XLen(t.Context(), b.Names().Stream("workflow.progressed", 0)).Result(); err != nil || n != 2*events {
		t.Errorf("the stream has %d entries, %v; want every event twice", n, err)
	}
	recovery := recovered(t, since, 30*time.Second, b, "writers", "logs")
	balanced(t, "reply to a plain XADD: connection closed", events, l, recovery)
}
