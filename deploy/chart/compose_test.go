package chart_test

import (
	"os"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
)

// TestCompose reads deploy/compose.yaml as docker compose does, and wants a service of each directory under
// services/, with what the chart gives it too.
func TestCompose(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"../compose.yaml"}, cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("../../services")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"artifacts", "postgresql", "redis"}
	for _, e := range entries {
		want = append(want, e.Name())
		service, have := project.Services[e.Name()]
		if !have {
			continue // told below
		}
		if service.Image != "localhost/agentbus/"+e.Name()+":local" || !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) {
			t.Errorf("%s: image %s, read only %t, capabilities dropped %v", e.Name(), service.Image, service.ReadOnly, service.CapDrop)
		}
		if service.StopGracePeriod == nil || service.StopGracePeriod.String() != "35s" {
			t.Errorf("%s: stop_grace_period %v, must be longer than SHUTDOWN_GRACE", e.Name(), service.StopGracePeriod)
		}
	}
	slices.Sort(want)
	if got := project.ServiceNames(); !slices.Equal(got, want) {
		t.Errorf("compose.yaml has the services %v, want %v", got, want)
	}
}
