package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
)

func TestParseDurabilities(t *testing.T) {
	got, err := parseDurabilities("async, workflow.*=replica, WORKFLOW_PROGRESSED=async,*.confirmed=fsync")
	if err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[events.Type]Durability{events.AuditStarted: Async, events.WorkflowFailed: Replica,
		events.WorkflowProgressed: Async, events.DeploymentConfirmed: Fsync} {
		if got[typ] != want {
			t.Errorf("%s is %s; want %s", typ, got[typ], want)
		}
	}
	for _, bad := range []string{"sync", "workflow.*=disk", "lunch.*=replica"} {
		if _, err := parseDurabilities(bad); err == nil || !strings.Contains(err.Error(), "BUS_DURABILITY") {
			t.Errorf("%q gave %v; want an error that names BUS_DURABILITY", bad, err)
		}
	}
}

func TestFsyncIsRefusedByAnOldRedis(t *testing.T) {
	t.Parallel()
	probe := open(t, Config{})
	version := infoField(probe.rdb.Info(t.Context()).Val(), "redis_version")
	b, err := Open(t.Context(), Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t), Durability: "fsync"})
	if atLeast(version, [3]int{7, 2, 0}) {
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Close() }()
		if _, err := b.Publish(t.Context(), event(t, "wf-1", 1)); err != nil {
			t.Errorf("redis %s: %v", version, err)
		}
		return
	}
	if !errors.Is(err, ErrServer) || !strings.Contains(err.Error(), "7.2") {
		t.Errorf("redis %s gave %v; want ErrServer that names 7.2", version, err)
	}
}

func TestReplicaClassWaitsForTheReplica(t *testing.T) {
	t.Parallel()
	master := servertest.OwnRedis(t, devserver.RedisOptions{})
	replica := servertest.OwnRedis(t, devserver.RedisOptions{Config: map[string]string{"replicaof": fmt.Sprint("127.0.0.1 ", master.Port)}})
	b := open(t, Config{URL: master.URL, Durability: "async,workflow.progressed=replica"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	first, err := b.Publish(ctx, event(t, "wf-1", 1))
	if err != nil {
		t.Fatal(err)
	}

	if err := replica.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	short, cancelShort := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancelShort()
	second := event(t, "wf-1", 2)
	if _, err := b.Publish(short, second); err == nil {
		t.Error("a publish was confirmed without its replica")
	}
	async := event(t, "wf-1", 3)
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
	at := open(t, Config{URL: replica.URL, Prefix: b.cfg.Prefix})
	if n := at.rdb.XLen(t.Context(), got[0].Stream).Val(); n != 2 {
		t.Errorf("the replica has %d entries; want 2", n)
	}
}
