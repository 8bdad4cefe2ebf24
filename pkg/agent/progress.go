package agent

import (
	"context"
	"sync"
	"time"

	"agentbus/pkg/events"
)

// progressEvery is the least time between two progress events of a task: enough
// for a bar that moves, little enough for a tool that reports every line.
const progressEvery = 200 * time.Millisecond

// aliveEvery is how often a silent task is reported all the same: the coordinator
// gives a try up whose agent says nothing for SILENT_TIMEOUT, at least 10 s.
const aliveEvery = 4 * time.Second

// reporter publishes the latest of what a tool reports. add never blocks.
type reporter struct {
	mu      sync.Mutex
	percent int
	message string
	fresh   bool
	told    time.Time // when it was last published

	stop  chan struct{}
	ended chan struct{}
}

// report starts a reporter for the task; close it when the task ends.
func (m *member) report(t *request) *reporter {
	r := &reporter{told: time.Now(), stop: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-r.stop:
				return
			case <-tick.C:
				m.publishProgress(t, r)
			}
		}
	}()
	return r
}

func (m *member) publishProgress(t *request, r *reporter) {
	data := t.response(events.A2AProgress)
	r.mu.Lock()
	due := r.fresh || time.Since(r.told) >= aliveEvery
	data.Percent, data.Message = r.percent, r.message
	if due {
		r.fresh, r.told = false, time.Now()
	}
	r.mu.Unlock()
	if !due {
		return
	}
	e, err := events.New(events.A2AResponse, t.workflow, t.agent, data)
	if err != nil {
		m.log.Warn().Err(err).Msg("progress that is no event")
		return
	}
	e.Metadata = t.metadata
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := m.bus.Publish(ctx, e); err != nil {
		m.log.Warn().Err(err).Str("workflow_id", t.workflow).Msg("progress not published")
	}
}

func (r *reporter) add(percent int, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.percent, r.message, r.fresh = min(max(percent, 0), 100), clip(Clean(message), 500), true
}

// close waits for a publication that is under way, so that no progress follows
// the answer.
func (r *reporter) close() {
	close(r.stop)
	<-r.ended
}
