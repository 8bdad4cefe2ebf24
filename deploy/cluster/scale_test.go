//go:build cluster

package cluster

import (
	"sync"
	"testing"
	"time"

	"agentbus/deploy/agentctl/coordinator"
)

// Reads of the list cost the coordinator CPU and the others next to nothing.
func TestLoadScalesItsServiceAlone(t *testing.T) {
	r := open(t)
	before := map[string]int{}
	for _, service := range services(t) {
		before[service], _ = r.replicas(t, service)
	}
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _, _ = r.client().List(t.Context(), coordinator.Query{Limit: 100}) // a replica that starts may refuse
				}
			}
		})
	}
	eventually(t, 3*time.Minute, "coordinator-agent has more replicas", func() bool {
		_, ready := r.replicas(t, "coordinator-agent")
		return ready > before["coordinator-agent"]
	})
	close(stop)
	readers.Wait()
	for _, service := range services(t) {
		if now, _ := r.replicas(t, service); service != "coordinator-agent" && now > before[service] {
			t.Errorf("%s went from %d to %d replicas", service, before[service], now)
		}
	}
}

// Needs autoscaling.externalMetrics.
func TestWaitingWorkflowsScaleTheAgentThatIsBehind(t *testing.T) {
	r := open(t)
	const behind = "audit-agent" // with a cold build cache it takes longest
	before, _ := r.replicas(t, behind)
	var ids []string
	for range 30 {
		ids = append(ids, r.create(t))
	}
	most := 0
	eventually(t, 5*time.Minute, behind+" has more replicas", func() bool {
		now, ready := r.replicas(t, behind)
		most = max(most, now)
		return ready > before
	})
	r.completes(t, 15*time.Minute, ids...)
	eventually(t, 10*time.Minute, behind+" is back at what it had", func() bool {
		now, _ := r.replicas(t, behind)
		most = max(most, now)
		return now <= before
	})
	t.Logf("%d workflows; %s went from %d to %d replicas and back", len(ids), behind, before, most)
}
