package bus

import "sync"

// lanes queues deliveries by workflow: each workflow is a lane that one worker at
// a time takes from, so its events never run at the same time in this member,
// while other workflows pass it by.
type lanes struct {
	mu      sync.Mutex
	work    *sync.Cond
	lanes   map[string]*lane
	ready   []*lane // lanes with something queued and no worker
	suspect bool    // a suspect is running; the others wait
	closed  bool
}

type lane struct {
	workflow string
	queue    []*delivery // by seq
	busy     bool        // a worker has its head
}

func newLanes() *lanes {
	l := &lanes{lanes: make(map[string]*lane)}
	l.work = sync.NewCond(&l.mu)
	return l
}

// push queues deliveries, each in its lane in order of seq.
func (l *lanes) push(ds ...*delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range ds {
		ln := l.lanes[d.Event.WorkflowID]
		if ln == nil {
			ln = &lane{workflow: d.Event.WorkflowID}
			l.lanes[ln.workflow] = ln
		}
		at := len(ln.queue)
		for at > 0 && ln.queue[at-1].Seq > d.Seq {
			at--
		}
		ln.queue = append(ln.queue, nil)
		copy(ln.queue[at+1:], ln.queue[at:])
		ln.queue[at] = d
		if !ln.busy && len(ln.queue) == 1 {
			l.ready = append(l.ready, ln)
		}
	}
	l.work.Broadcast()
}

// take blocks until work is there and returns up to most deliveries of one or
// more lanes, in lane order; nil means closed and empty. A suspect comes alone.
// The lanes stay busy until [lanes.done].
func (l *lanes) take(most int) []*delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if batch := l.pick(most); batch != nil {
			return batch
		}
		if l.closed && len(l.lanes) == 0 {
			return nil
		}
		l.work.Wait()
	}
}

func (l *lanes) pick(most int) []*delivery {
	var batch []*delivery
	keep := l.ready[:0]
	for i, ln := range l.ready {
		if len(batch) >= most {
			keep = append(keep, l.ready[i:]...)
			break
		}
		if ln.queue[0].suspect() {
			if l.suspect || len(batch) > 0 {
				keep = append(keep, ln)
				continue
			}
			l.suspect = true
			batch = append(batch, ln.take(1)...)
			keep = append(keep, l.ready[i+1:]...)
			break
		}
		batch = append(batch, ln.take(most-len(batch))...)
	}
	clear(l.ready[len(keep):])
	l.ready = keep
	return batch
}

// take removes up to n deliveries from the head, stopping before a suspect that
// is not the first.
func (ln *lane) take(n int) []*delivery {
	n = min(n, len(ln.queue))
	for i := 1; i < n; i++ {
		if ln.queue[i].suspect() {
			n = i
		}
	}
	out := ln.queue[:n:n]
	ln.queue = ln.queue[n:]
	ln.busy = true
	return out
}

// done gives the batch's lanes back.
func (l *lanes) done(batch []*delivery, suspect bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if suspect {
		l.suspect = false
	}
	for _, d := range batch {
		ln := l.lanes[d.Event.WorkflowID]
		if ln == nil || !ln.busy {
			continue
		}
		ln.busy = false
		if len(ln.queue) > 0 {
			l.ready = append(l.ready, ln)
		} else {
			delete(l.lanes, ln.workflow)
		}
	}
	l.work.Broadcast()
}

// close lets take return nil once everything is taken; with drop, what is still
// queued is forgotten (it stays pending in Redis).
func (l *lanes) close(drop bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if drop {
		l.ready = nil
		for key, ln := range l.lanes {
			ln.queue = nil
			if !ln.busy {
				delete(l.lanes, key)
			}
		}
	}
	l.work.Broadcast()
}
