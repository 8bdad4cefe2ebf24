package bus_test

import (
	"errors"
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

// TestFsyncIsRefusedWhereItCannotWork: by a server on which no publish of that class
// would ever be confirmed. The other classes are served by it.
func TestFsyncIsRefusedWhereItCannotWork(t *testing.T) {
	t.Parallel()
	for says, config := range map[string]map[string]string{
		"appendonly yes":     {"appendonly": "no"},
		"appendfsync always": {"appendfsync": "no"},
	} {
		srv := servertest.OwnRedis(t, devserver.RedisOptions{New: true, Config: config})
		begun := time.Now()
		_, err := bus.Open(t.Context(), bus.Config{URL: srv.URL, Durability: "async,workflow.*=fsync"})
		if !errors.Is(err, bus.ErrServer) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v gave %v; want bus.ErrServer that says %q", config, err, says)
		}
		if waited := time.Since(begun); waited > 5*time.Second {
			t.Errorf("it took %s to refuse; waiting cannot help", waited)
		}
		bustest.Open(t, bus.Config{URL: srv.URL, Durability: "replica"})
	}
}

func TestFsyncIsRefusedByAnOldRedis(t *testing.T) {
	t.Parallel()
	version := bus.InfoField(bustest.Open(t, bus.Config{}).Client().Info(t.Context()).Val(), "redis_version")
	b, err := bus.Open(t.Context(), bus.Config{URL: servertest.Redis(t), Prefix: servertest.Prefix(t), Durability: "fsync"})
	if bus.AtLeast(version, [3]int{7, 2, 0}) { // the tests run on a newer one
		if err != nil {
			t.Fatal(err)
		}
		_ = b.Close()
		return
	}
	if !errors.Is(err, bus.ErrServer) || !strings.Contains(err.Error(), "7.2") {
		t.Errorf("redis %s gave %v; want bus.ErrServer that names 7.2", version, err)
	}
}

// TestFsyncIsConfirmed: by a server that is fit, on an idle one too, and for a repeat
// of an event that is known, whose first reply may have been lost. The other checks
// of the server are made for this class as for any.
func TestFsyncIsConfirmed(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"always", "everysec"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			srv := servertest.OwnRedis(t, devserver.RedisOptions{New: true, Config: map[string]string{"appendfsync": policy, "maxmemory-policy": "allkeys-lru"}})
			if _, err := bus.Open(t.Context(), bus.Config{URL: srv.URL, Durability: "fsync", RequireDurable: true}); !errors.Is(err, bus.ErrServer) || !strings.Contains(err.Error(), "noeviction") {
				t.Errorf("an eviction policy gave %v; want bus.ErrServer that says noeviction", err)
			}
			b := bustest.Open(t, bus.Config{URL: srv.URL, Durability: "fsync"})
			e := bustest.Event(t, "wf-1", 1)
			for try := range 2 {
				got, err := b.Publish(t.Context(), e)
				if err != nil || got[0].Seq != 1 || got[0].Duplicate != (try == 1) {
					t.Fatalf("publish %d: %+v, %v", try, got, err)
				}
			}
		})
	}
}

// TestFsyncIsLostWithTheAOF: the AOF is switched off while the bus is at work. No
// publish of the class is acknowledged then, and the error says why.
func TestFsyncIsLostWithTheAOF(t *testing.T) {
	t.Parallel()
	srv := servertest.OwnRedis(t, devserver.RedisOptions{New: true, Config: map[string]string{"appendfsync": "always"}})
	b := bustest.Open(t, bus.Config{URL: srv.URL, Durability: "async,workflow.progressed=fsync"})
	if err := b.Client().ConfigSet(t.Context(), "appendonly", "no").Err(); err != nil {
		t.Fatal(err)
	}
	e := bustest.Event(t, "wf-1", 1)
	if _, err := b.Publish(t.Context(), e); err == nil || !strings.Contains(err.Error(), "appendonly") {
		t.Errorf("without an AOF: %v; want an error that names appendonly", err)
	}
	if err := b.Client().ConfigSet(t.Context(), "appendonly", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 20*time.Second, func() error {
		got, err := b.Publish(t.Context(), e)
		if err == nil && !got[0].Duplicate {
			err = fmt.Errorf("it was added again: %+v", got)
		}
		return err
	})
	other := bustest.Event(t, "wf-1", 2)
	other.Type, other.Data = events.WorkflowStarted, []byte(`{"stage":"audit"}`)
	if _, err := b.Publish(t.Context(), other); err != nil {
		t.Error(err)
	}
}
