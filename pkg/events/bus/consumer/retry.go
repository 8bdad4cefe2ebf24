package consumer

import (
	"sync"
	"time"
)

// retryTimer puts deliveries back into the scheduler after a time. Once stopped it
// does nothing more: what waits then stays pending for the group.
type retryTimer struct {
	inflight  *inflight
	scheduler *scheduler

	mu      sync.Mutex
	stopped bool
}

// after queues the delivery again after wait.
func (r *retryTimer) after(wait time.Duration, d *delivery) {
	r.inflight.setWaiting(d.Stream, 1)
	time.AfterFunc(wait, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.stopped {
			r.inflight.setWaiting(d.Stream, -1)
			r.scheduler.push(d)
		}
	})
}

func (r *retryTimer) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
}
