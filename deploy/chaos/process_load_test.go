package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"agentbus/pkg/events"
)

// producers publish until they are stopped: five events of each workflow, of four types that db-writer stores
// and one that it does not.
type producers struct {
	s    *system
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// workflowEvents is how many events one workflow of theirs has.
const workflowEvents = 5

// startProducers begins with n of them, each adding a workflow per pause, none meaning as fast as
// Redis takes them. It stops with the test at the latest.
func (s *system) startProducers(n int, pause time.Duration) *producers {
	ctx, cancel := context.WithCancel(s.Context())
	l := &producers{s: s, stop: cancel}
	for range n {
		l.wg.Go(func() { l.run(ctx, pause) })
	}
	s.Cleanup(l.end)
	return l
}

func (l *producers) run(ctx context.Context, pause time.Duration) {
	courses := 1
	if pause == 0 {
		courses = 20 // many a call: it is Redis that is to have the work
	}
	tick := time.NewTicker(max(pause, 1))
	defer tick.Stop()
	for ctx.Err() == nil {
		// Not ctx: an end in mid-publish would make the outcome unknown for nothing.
		var batch []events.Event
		for range courses {
			batch = append(batch, course("load-"+uuid.NewString())...)
		}
		if _, err := l.s.books.Publish(context.WithoutCancel(ctx), l.s.bus, batch...); err != nil {
			l.s.Errorf("publish: %v", err)
			return
		}
		if pause > 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}
}

// end stops them and waits for them.
func (l *producers) end() {
	l.stop()
	l.wg.Wait()
}

// course is that of one workflow, cut short.
func course(id string) []events.Event {
	correlation := uuid.NewString()
	payloads := []struct {
		typ  events.Type
		data events.Payload
	}{
		{events.WorkflowCreated, &events.WorkflowCreatedData{Name: "load", Stages: events.Stages()}},
		{events.GenerationStarted, &events.StageStartedData{CorrelationID: correlation, Attempt: 1, Worker: "load"}},
		{events.WorkflowProgressed, &events.WorkflowProgressedData{Percent: 40, Stage: events.Generation, StagePercent: 90, Attempt: 1}},
		{events.GenerationCompleted, &events.StageDoneData{CorrelationID: correlation, Attempt: 1, DurationMS: 3, Summary: json.RawMessage(`{"files":1}`)}},
		{events.WorkflowCompleted, &events.WorkflowCompletedData{DurationMS: 5}},
	}
	list := make([]events.Event, len(payloads))
	for i, p := range payloads {
		e, err := events.New(p.typ, id, "load", p.data)
		if err != nil {
			panic(err) // of literals
		}
		list[i] = e
	}
	return list
}

// wellMoved checks that every workflow of the producers stands where its last event put it, with its one
// stage result: what was stored twice or late would show there.
func (s *system) wellMoved() {
	s.Helper()
	wrong := s.rows(`SELECT id || ' ' || state || ' ' || percent || ' ' || last_seq FROM workflows WHERE id LIKE 'load-%'
		AND (state <> 'completed' OR last_seq <> $1 OR finished_at IS NULL OR created_at IS NULL) LIMIT 10`, workflowEvents)
	if len(wrong) > 0 {
		s.Errorf("workflows that are not where their last event put them: %v", wrong)
	}
	counts := s.rows(`SELECT (SELECT count(*) FROM workflows WHERE id LIKE 'load-%') || ' ' || (SELECT count(*) FROM stage_results WHERE workflow_id LIKE 'load-%')
		|| ' ' || (SELECT count(*) FROM workflow_updates WHERE workflow_id LIKE 'load-%') / $1`, workflowEvents-1)
	var workflows, stages, updates int
	if _, err := fmt.Sscan(counts[0], &workflows, &stages, &updates); err != nil || workflows != stages || workflows != updates {
		s.Errorf("workflows, stage results, rows of a workflow: %s, want the same number thrice (%v)", counts[0], err)
	}
}
