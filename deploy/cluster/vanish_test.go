//go:build cluster

package cluster

import (
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
)

// create asks for a workflow of the demo and returns its id.
func (r *release) create(t *testing.T) string {
	t.Helper()
	body, err := os.ReadFile("../demo/workflow.json")
	if err != nil {
		t.Fatal(err)
	}
	w, _, err := r.client().Create(t.Context(), body, uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	return w.ID
}

// completes waits for workflows to end, and wants them completed with each stage done once.
func (r *release) completes(t *testing.T, limit time.Duration, ids ...string) {
	t.Helper()
	for _, id := range ids {
		state := ""
		eventually(t, limit, "workflow "+id+" ends", func() bool {
			w, err := r.client().Get(t.Context(), id)
			if err != nil {
				return false // the coordinator may be the one that vanished
			}
			state = w.State
			return state != "running"
		})
		if state != "completed" {
			t.Errorf("workflow %s: %s", id, state)
		}
	}
	var twice int
	err := r.openDatabase(t).QueryRow(t.Context(), `select count(*) from (select 1 from workflow_updates where workflow_id = any($1)
		and type in ('generation.completed', 'audit.completed', 'testing.completed', 'deployment.confirmed', 'workflow.completed')
		group by workflow_id, type having count(*) > 1) done`, ids).Scan(&twice)
	if err != nil {
		t.Fatal(err)
	}
	if twice > 0 {
		t.Errorf("%d stages were done twice", twice)
	}
}

func TestForcedDeletionOfEachService(t *testing.T) {
	r := open(t)
	for _, service := range services(t) {
		t.Run(service, func(t *testing.T) {
			ids := []string{r.create(t), r.create(t), r.create(t)}
			r.kubectl(t, "delete", "pod", "--force", "--grace-period=0", "-l", r.selector(service))
			r.completes(t, 5*time.Minute, ids...)
		})
	}
}
