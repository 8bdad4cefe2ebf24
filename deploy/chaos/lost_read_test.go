package chaos

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

// TestLostReplyToRead: Redis has delivered entries, the member never got them.
// They are handled within the claim time and 5 s, in every partition.
func TestLostReplyToRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		fate       verdict
		lost       int64
		partitions int
	}{{"connection closed", disconnect, 10, 0}, {"swallowed", swallow, 1, 0}, {"connection closed, partitioned", disconnect, 10, 4}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			srv := servertest.OwnRedis(t, devserver.RedisOptions{})
			p := newProxy(t, srv)
			l := ledger.New("writers")
			s := &sink{l: l, group: "writers"}
			b := open(t, bus.Config{URL: p.url, Partitions: c.partitions}, nil)
			consume(t, b, consumer.Subscription{Group: "writers", Handle: s.handle})
			var lost atomic.Int64
			p.lose(func(request, reply []byte) verdict {
				if asks(request, "xreadgroup") && len(reply) > 100 && lost.Load() < c.lost {
					lost.Add(1)
					return c.fate
				}
				return pass
			})
			producer := open(t, bus.Config{URL: srv.URL, Partitions: c.partitions}, nil)
			ld := startLoad(t, l, producer, 100)
			servertest.Eventually(t, 30*time.Second, func() error {
				if n := lost.Load(); n < c.lost {
					return fmt.Errorf("%d of %d replies were lost", n, c.lost)
				}
				return nil
			})
			since := time.Now()
			ld.stop()
			recovery := recovered(t, since, claimTime+5*time.Second, producer, "writers")
			balanced(t, "reply to XREADGROUP: "+c.name, int(c.lost), l, recovery)
		})
	}
}
