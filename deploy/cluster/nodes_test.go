//go:build cluster

package cluster

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

type pods struct {
	Items []struct {
		Metadata struct {
			Name              string
			Labels            map[string]string
			DeletionTimestamp *time.Time
		}
		Spec struct{ NodeName string }
	}
}

func (r *release) pods(t *testing.T) (list pods) {
	t.Helper()
	r.get(t, &list, "pods", "-l", "app.kubernetes.io/instance="+r.name)
	return list
}

// gone waits until no pod is on its way out.
func (r *release) gone(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Minute, "the old pods are gone", func() bool {
		for _, p := range r.pods(t).Items {
			if p.Metadata.DeletionTimestamp != nil {
				return false
			}
		}
		return true
	})
}

func (r *release) podsOn(t *testing.T, node string) (n int) {
	t.Helper()
	for _, p := range r.pods(t).Items {
		if p.Spec.NodeName == node {
			n++
		}
	}
	return n
}

// nodeToDrain is one that has pods of the release but none of its stores.
func (r *release) nodeToDrain(t *testing.T) string {
	t.Helper()
	stores := map[string]bool{"redis": true, "postgresql": true, "artifacts": true}
	has := map[string]bool{} // whether a store is on the node
	for _, p := range r.pods(t).Items {
		has[p.Spec.NodeName] = has[p.Spec.NodeName] || stores[p.Metadata.Labels["app.kubernetes.io/component"]]
	}
	for node, store := range has {
		if !store {
			return node
		}
	}
	t.Fatalf("every node with pods of the release has a store too: %v", has)
	return ""
}

// kubectlAfter is for clean-ups, when the test's context has ended.
func (r *release) kubectlAfter(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "kubectl", args...).CombinedOutput(); err != nil {
		t.Errorf("kubectl %v: %v\n%s", args, err, out)
	}
}
