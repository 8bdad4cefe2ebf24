//go:build cluster

package cluster

import (
	"testing"
)

func TestRollingRestartUnderLoad(t *testing.T) {
	r := open(t)
	ended, l := r.watchExits(t), r.load(t)
	for _, service := range services(t) {
		r.kubectl(t, "rollout", "restart", "deployment/"+r.full+"-"+service)
	}
	for _, service := range services(t) {
		r.kubectl(t, "rollout", "status", "--timeout=3m", "deployment/"+r.full+"-"+service)
	}
	r.gone(t)
	l.settle(t)
	ended.check(t, len(services(t)))
}

// A drain takes the stores with it only where their data would move too, so a node without them is drained.
func TestDrainUnderLoad(t *testing.T) {
	r := open(t)
	node := r.nodeToDrain(t)
	ended, l := r.watchExits(t), r.load(t)
	t.Cleanup(func() { r.kubectlAfter(t, "uncordon", node) })
	before := r.podsOn(t, node)
	if before == 0 {
		t.Fatalf("no pod of the release is on node %s: nothing to drain", node)
	}
	r.kubectl(t, "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=app.kubernetes.io/instance="+r.name, "--timeout=3m")
	for _, service := range services(t) {
		r.kubectl(t, "rollout", "status", "--timeout=3m", "deployment/"+r.full+"-"+service)
	}
	r.gone(t)
	l.settle(t)
	ended.check(t, before)
}
