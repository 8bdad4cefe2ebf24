package bus_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/bustest"
)

func TestParseDurabilities(t *testing.T) {
	got, err := bus.ParseDurabilities("async, workflow.*=replica, WORKFLOW_PROGRESSED=async,*.confirmed=fsync")
	if err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[events.Type]string{events.AuditStarted: "async", events.WorkflowFailed: "replica",
		events.WorkflowProgressed: "async", events.DeploymentConfirmed: "fsync"} {
		if got[typ].String() != want {
			t.Errorf("%s is %s; want %s", typ, got[typ], want)
		}
	}
	for _, bad := range []string{"sync", "workflow.*=disk", "lunch.*=replica"} {
		if _, err := bus.ParseDurabilities(bad); err == nil || !strings.Contains(err.Error(), "BUS_DURABILITY") {
			t.Errorf("%q gave %v; want an error that names BUS_DURABILITY", bad, err)
		}
	}
}

func TestReplicaClassOutlivesADemotion(t *testing.T) {
	t.Parallel()
	master := servertest.OwnRedis(t, devserver.RedisOptions{})
	b := bustest.Open(t, bus.Config{URL: master.URL, Durability: "replica"})
	published := make(chan error, 1)
	go func() {
		_, err := b.Publish(t.Context(), bustest.Event(t, "wf-1", 1))
		published <- err
	}()
	// It waits for a replica that is not there.
	servertest.Eventually(t, 10*time.Second, func() error {
		if n := bus.InfoField(b.Client().Info(t.Context()).Val(), "blocked_clients"); n != "1" {
			return fmt.Errorf("%s clients wait", n)
		}
		return nil
	})
	other := servertest.OwnRedis(t, devserver.RedisOptions{})
	if err := b.Client().SlaveOf(t.Context(), "127.0.0.1", fmt.Sprint(other.Port)).Err(); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 10*time.Second, func() error {
		if why := b.Trouble(); why == nil || !strings.Contains(why.Error(), "READONLY") {
			return fmt.Errorf("the trouble is %w; want READONLY", why)
		}
		return nil
	})
	if err := b.Client().SlaveOf(t.Context(), "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	servertest.OwnRedis(t, devserver.RedisOptions{Config: map[string]string{"replicaof": fmt.Sprint("127.0.0.1 ", master.Port)}})
	if err := <-published; err != nil {
		t.Errorf("a publish that waited while its master was a replica for a time: %v", err)
	}
}

func TestReplicaClassWaitsForTheReplica(t *testing.T) {
	t.Parallel()
	master := servertest.OwnRedis(t, devserver.RedisOptions{})
	replica := servertest.OwnRedis(t, devserver.RedisOptions{Config: map[string]string{"replicaof": fmt.Sprint("127.0.0.1 ", master.Port)}})
	b := bustest.Open(t, bus.Config{URL: master.URL, Durability: "async,workflow.progressed=replica"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	first, err := b.Publish(ctx, bustest.Event(t, "wf-1", 1))
	if err != nil {
		t.Fatal(err)
	}

	if err := replica.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	short, cancelShort := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancelShort()
	second := bustest.Event(t, "wf-1", 2)
	if _, err := b.Publish(short, second); err == nil {
		t.Error("a publish was confirmed without its replica")
	}
	async := bustest.Event(t, "wf-1", 3)
	async.Type, async.Data = events.WorkflowStarted, []byte(`{"stage":"audit"}`)
	if _, err := b.Publish(ctx, async); err != nil {
		t.Errorf("an async event waited for the replica: %v", err)
	}

	if err := replica.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := b.Publish(ctx, second)
	if err != nil || got[0].Seq != first[0].Seq+1 {
		t.Errorf("once the replica was back: %+v, %v; want seq %d", got, err, first[0].Seq+1)
	}
	at := bustest.Open(t, bus.Config{URL: replica.URL, Prefix: b.Names().Prefix})
	if n := at.Client().XLen(t.Context(), got[0].Stream).Val(); n != 2 {
		t.Errorf("the replica has %d entries; want 2", n)
	}
}
