package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/events/bus/inspect"
	"agentbus/pkg/events/bus/internal/wire"
)

// clusterOfOne is the URL of a cluster with one node, which refuses what touches
// keys of several slots as any cluster does.
func clusterOfOne(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{Config: map[string]string{
		"cluster-enabled": "yes", "cluster-port": strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}})
	o, err := redis.ParseURL(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(o)
	t.Cleanup(func() { _ = admin.Close() })
	if err := admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 10*time.Second, func() error {
		if info, err := admin.ClusterInfo(t.Context()).Result(); err != nil || !strings.Contains(info, "cluster_state:ok") {
			return fmt.Errorf("the cluster is not ready: %s, %w", info, err)
		}
		return nil
	})
	return "redis+cluster://" + o.Addr
}

// keysOf are the keys that carry the group's name.
func keysOf(t *testing.T, b *bus.Bus, group string) (keys []string) {
	t.Helper()
	for part := range b.Names().Parts() {
		for _, key := range []string{b.Names().Members(group, part), b.Names().Replays(group, part), b.Names().DeadLetters(group, part)} {
			if b.Client().Exists(t.Context(), key).Val() == 1 {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// length is of the type's streams together.
func length(t *testing.T, b *bus.Bus, typ events.Type) (n int64) {
	t.Helper()
	for part := range b.Names().Parts() {
		n += b.Client().XLen(t.Context(), b.Names().Stream(typ, part)).Val()
	}
	return n
}

func TestRemoveGroup(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]func(t *testing.T) bus.Config{
		"standalone": func(*testing.T) bus.Config { return bus.Config{} },
		"cluster":    func(t *testing.T) bus.Config { return bus.Config{URL: clusterOfOne(t), Partitions: 3} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cfg(t)
			c.Retention = "1ns"
			b := bustest.Open(t, c)
			const published = 60
			for i := range published {
				if _, err := b.Publish(t.Context(), bustest.Event(t, fmt.Sprint("wf-", i), i)); err != nil {
					t.Fatal(err)
				}
			}
			bustest.Dead(t, b, "gone", 5)
			// What stands about besides: a type it read once, a consumer without a lease.
			old := b.Names().Stream(events.AuditStarted, 0)
			if err := b.Client().XGroupCreateMkStream(t.Context(), old, "gone", "0").Err(); err != nil {
				t.Fatal(err)
			}
			if err := b.Client().XGroupCreateConsumer(t.Context(), old, "gone", "nameless").Err(); err != nil {
				t.Fatal(err)
			}
			var kept bustest.Record
			bustest.Consume(t, b, consumer.Subscription{Group: "kept", Handle: kept.Handle})
			servertest.Eventually(t, 10*time.Second, kept.Want(published))
			servertest.Eventually(t, 10*time.Second, bustest.Settled(t, b, "kept"))
			for part := range b.Names().Parts() {
				stream := b.Names().Stream(events.WorkflowProgressed, part)
				if got, err := b.Wire().Trim(t.Context(), stream, events.WorkflowProgressed, part, "9999999999999-0", 1000); err != nil || got.Entries != 0 {
					t.Fatalf("%+v, %v; want all entries kept: the group that is gone has not handled them", got, err)
				}
			}

			parts := int64(b.Names().Parts())
			h, err := inspect.New(b).Describe(t.Context(), "gone")
			var lag, pending int64
			for _, s := range h.Streams {
				lag, pending = lag+s.Lag, pending+s.Pending
			}
			if err != nil || int64(len(h.Streams)) != 3*parts+1 || pending != 5*parts || lag != published-5*parts || fmt.Sprint(h.Members) != "[dead-member nameless]" {
				t.Errorf("holdings %+v, %v; lag %d, pending %d", h, err, lag, pending)
			}
			if err := inspect.New(b).RemoveGroup(t.Context(), "nobody", false); !errors.Is(err, inspect.ErrNotFound) || !strings.Contains(err.Error(), "gone, kept") {
				t.Errorf("removing an unknown group: %v; want the names of those there are", err)
			}
			if err := inspect.New(b).RemoveGroup(t.Context(), "kept", true); !errors.Is(err, inspect.ErrInUse) || !strings.Contains(err.Error(), b.Member()) {
				t.Errorf("removing a group with a member: %v; want it named", err)
			}
			letters := b.Names().DeadLetters("gone", b.Names().Parts()-1)
			for _, key := range []string{letters, b.Names().Replays("gone", 0)} {
				if err := b.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: key, Values: []string{"data", "{}"}}).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if err := inspect.New(b).RemoveGroup(t.Context(), "gone", false); !errors.Is(err, inspect.ErrInUse) || !strings.Contains(err.Error(), "1 dead letter") {
				t.Errorf("removing a group with a dead letter: %v", err)
			}
			if again, err := inspect.New(b).Describe(t.Context(), "gone"); err != nil || len(again.Streams) != len(h.Streams) || again.DeadLetters != 1 {
				t.Errorf("%+v, %v; a removal that was refused changed something", again, err)
			}

			if err := inspect.New(b).RemoveGroup(t.Context(), "gone", true); err != nil {
				t.Fatal(err)
			}
			if _, err := inspect.New(b).Describe(t.Context(), "gone"); !errors.Is(err, inspect.ErrNotFound) {
				t.Errorf("after the removal: %v; want nothing left", err)
			}
			if left := keysOf(t, b, "gone"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			servertest.Eventually(t, 5*time.Second, func() error { // by the housekeeping of the group that stays
				if n := length(t, b, events.WorkflowProgressed); n > 0 {
					return fmt.Errorf("%d entries are kept though everybody has handled them", n)
				}
				return nil
			})
			if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 100)); err != nil {
				t.Fatal(err)
			}
			servertest.Eventually(t, 5*time.Second, kept.Want(published+1))
		})
	}
}

// TestAMemberJoinsBetweenPartitions: the group was removed from one partition when
// a member joins. The rest stays, and the member makes its group whole again.
func TestAMemberJoinsBetweenPartitions(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{Partitions: 3})
	const published = 30
	for i := range published {
		if _, err := b.Publish(t.Context(), bustest.Event(t, fmt.Sprint("wf-", i), i)); err != nil {
			t.Fatal(err)
		}
	}
	bustest.Dead(t, b, "readers", 2)
	leases, err := inspect.AwaitDead(inspect.New(b), t.Context(), "readers")
	if err != nil {
		t.Fatal(err)
	}
	if err := inspect.RemoveFrom(inspect.New(b), t.Context(), "readers", 0, false, leases[0]); err != nil {
		t.Fatal(err)
	}
	var rec bustest.Record
	bustest.Consume(t, b, consumer.Subscription{Handle: rec.Handle})
	servertest.Eventually(t, 5*time.Second, func() error {
		got, err := inspect.New(b).Leases(t.Context(), "readers")
		if got["2/"+b.Member()] == "" {
			return fmt.Errorf("it has not joined: %v, %w", got, err)
		}
		return nil
	})
	for part := range 3 {
		if err := inspect.RemoveFrom(inspect.New(b), t.Context(), "readers", part, false, leases[part]); !errors.Is(err, inspect.ErrInUse) || !strings.Contains(err.Error(), b.Member()) {
			t.Errorf("partition %d: %v; want the new member named", part, err)
		}
	}
	servertest.Eventually(t, 10*time.Second, rec.Want(published))
	servertest.Eventually(t, 10*time.Second, bustest.Settled(t, b, "readers"))
}

// TestAMemberStartsWhileItsGroupIsRemoved, at whatever moment: the removal goes
// through or is refused, and the member gets everything.
func TestAMemberStartsWhileItsGroupIsRemoved(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{Partitions: 3})
	outcomes := make(map[bool]int)
	for round := range 10 {
		for i := range 6 {
			if _, err := b.Publish(t.Context(), bustest.Event(t, fmt.Sprintf("wf-%d-%d", round, i), i)); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		got := make(map[string]bool)
		// A group of its own each round, for which a member has died.
		group := fmt.Sprint("readers-", round)
		bustest.Dead(t, b, group, 0)
		removed := make(chan error, 1)
		go func() { removed <- inspect.New(b).RemoveGroup(context.Background(), group, false) }()
		// From well before the removal to just after it.
		wire.Pause(t.Context(), b.Wire().Intervals.DeadAfter()*time.Duration(round)/8)
		stop := bustest.Consume(t, bustest.Another(t, b), consumer.Subscription{Group: group, Handle: func(_ context.Context, m consumer.Message) error {
			mu.Lock()
			defer mu.Unlock()
			got[m.Event.ID] = true
			return nil
		}})
		err := <-removed
		if err != nil && !errors.Is(err, inspect.ErrInUse) {
			t.Errorf("round %d: %v", round, err)
		}
		outcomes[err == nil]++
		servertest.Eventually(t, 10*time.Second, func() error {
			mu.Lock()
			defer mu.Unlock()
			if want := 6 * (round + 1); len(got) != want {
				return fmt.Errorf("round %d: %d events reached the member; want %d", round, len(got), want)
			}
			return nil
		})
		servertest.Eventually(t, 10*time.Second, bustest.Settled(t, b, group))
		stop()
	}
	t.Logf("removed before the member joined %d times, refused %d times", outcomes[true], outcomes[false])
	if outcomes[true] == 0 || outcomes[false] == 0 {
		t.Errorf("only one of the two orders was met: %v", outcomes)
	}
}

// TestMembersAreThoseThatLive: one that died is told from one that lives, though
// both have leases.
func TestMembersAreThoseThatLive(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, bus.Config{})
	if _, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1)); err != nil {
		t.Fatal(err)
	}
	bustest.Dead(t, b, "deserted", 1)
	bustest.Consume(t, b, consumer.Subscription{Group: "living", Handle: func(context.Context, consumer.Message) error { return nil }})
	servertest.Eventually(t, 5*time.Second, bustest.Settled(t, b, "living"))
	once := bustest.Another(t, b)
	all, err := inspect.New(once).Survey(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	if d, l := all[0], all[1]; d.Members != 0 || d.Suspect != 1 || l.Members != 1 || l.Suspect != 0 {
		t.Errorf("%+v; want a suspect in the one, a member in the other", all)
	}
}
