package e2e

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"agentbus/deploy/agentctl/record"
	"agentbus/deploy/localstack"
	"agentbus/pkg/devserver/servertest"
)

// TestTwoReplicasOfEverything runs ten workflows at once. Clients are at the one WebSocket server while
// the group gives events to both.
func TestTwoReplicasOfEverything(t *testing.T) {
	dir := t.TempDir()
	o := options(dir + "/stack")
	o.Replicas = map[string]int{"": 2}
	stack, err := localstack.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, stack, o.Dir) })
	s := system{t, stack}
	b := s.openBus()
	if n, want := len(s.Processes()), 2*len(shared.Processes()); n != want {
		t.Fatalf("%d processes, want %d", n, want)
	}

	const workflows = 10
	ids := make([]string, workflows)
	frames := make([]*record.Frames, workflows)
	for i := range ids {
		ids[i] = s.create(greeter(fmt.Sprintf("ten-%d", i), nil))
		frames[i] = s.collect(ids[i])
	}
	want := record.Samples{}
	for i, id := range ids {
		s.awaitCompleted(id)
		published := s.recordsAgree(b, id, frames[i], false)
		s.stagesOnce(published)
		for typ, n := range record.Count(published) {
			want[typ] += n
		}
	}
	servertest.Eventually(t, 10*time.Second, func() error {
		got, err := record.Scrape(t.Context(), s.URLs("metrics-collector", "OPS_ADDR")...)
		if err != nil {
			return err
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("counted %v, published %v", got, want)
		}
		return nil
	})
}
