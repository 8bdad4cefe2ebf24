//go:build cluster

package cluster

import (
	"context"
	"encoding/json"
	"os/exec"
	"sync"
	"testing"
)

// exits notes how the containers of the release's pods end: kubelet reports a container that did not make it
// within its grace as killed (137).
type exits struct {
	mu    sync.Mutex
	codes map[string]int // by pod
}

func (r *release) watchExits(t *testing.T) *exits {
	t.Helper()
	e := &exits{codes: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	command := exec.CommandContext(ctx, "kubectl", "-n", r.namespace, "get", "pods", "-l", "app.kubernetes.io/instance="+r.name, "--watch-only", "-o", "json")
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for decoder := json.NewDecoder(out); ; {
			var pod struct {
				Metadata struct{ Name string }
				Status   struct {
					ContainerStatuses []struct {
						State struct {
							Terminated *struct{ ExitCode int }
						}
					}
				}
			}
			if decoder.Decode(&pod) != nil {
				return
			}
			for _, c := range pod.Status.ContainerStatuses {
				if c.State.Terminated != nil {
					e.mu.Lock()
					e.codes[pod.Metadata.Name] = c.State.Terminated.ExitCode
					e.mu.Unlock()
				}
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
		_ = command.Wait() // it was killed
	})
	return e
}

// check wants at least so many pods to have ended, each by itself and well.
func (e *exits) check(t *testing.T, least int) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.codes) < least {
		t.Errorf("%d pods ended, at least %d were to", len(e.codes), least)
	}
	for pod, code := range e.codes {
		if code != 0 {
			t.Errorf("%s ended with %d", pod, code)
		}
	}
	t.Logf("%d pods ended within their grace", len(e.codes))
}
