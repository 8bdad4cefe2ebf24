package bus

import (
	"sync"

	"agentbus/pkg/events"
)

// lanes queues deliveries by workflow: each workflow is a lane that one worker at
// a time takes from, so its events never run at the same time in this member,
// while other workflows pass it by. Between the lanes the event types take turns,
// and none may hold the last free worker, so that a type that comes in masses does
// not hold up the others.
type lanes struct {
	share   int // workers that one type may hold at once
	mu      sync.Mutex
	work    *sync.Cond
	lanes   map[string]*lane
	flows   map[events.Type]*flow
	turns   []*flow // those with a ready lane; the first is next
	suspect bool    // a suspect is running; the others wait
	closed  bool
}

type lane struct {
	workflow string
	queue    []*delivery // by seq
	busy     bool        // a worker has its head
	counted  *flow       // that its worker counts for; nil for a batch's further lanes of a flow
}

// flow is what takes turns: the ready lanes, those with something queued and no
// worker, whose heads are of one type.
type flow struct {
	kind    events.Type
	ready   []*lane
	workers int // that hold a batch of it
}

// suspects is the flow of the suspects, of whatever type.
const suspects events.Type = "(suspects)"

// newLanes makes the lanes of a member that reads so many types.
func newLanes(workers, types int) *lanes {
	share := workers
	if types > 1 {
		share = max(1, workers-1)
	}
	l := &lanes{share: share, lanes: make(map[string]*lane), flows: make(map[events.Type]*flow)}
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
			l.line(ln)
		}
	}
	l.work.Broadcast()
}

// line puts a lane at the end of its flow, and a flow that was empty at the end of
// the turns.
func (l *lanes) line(ln *lane) {
	kind := ln.kind()
	f := l.flows[kind]
	if f == nil {
		f = &flow{kind: kind}
		l.flows[kind] = f
	}
	if len(f.ready) == 0 {
		l.turns = append(l.turns, f)
	}
	f.ready = append(f.ready, ln)
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
	inBatch := make(map[*flow]bool, 1)
	for next := 0; next < len(l.turns) && len(batch) < most; {
		f := l.turns[next]
		counts := !inBatch[f]
		if (f.kind == suspects && (l.suspect || len(batch) > 0)) || (counts && f.workers >= l.share) {
			next++ // it keeps its turn
			continue
		}
		ln := l.turn(next)
		switch {
		case ln.kind() != f.kind: // its head came after it had been lined up
			l.line(ln)
		case f.kind == suspects:
			l.suspect = true
			return ln.take(1)
		default:
			if counts {
				inBatch[f] = true
				f.workers++
				ln.counted = f
			}
			batch = append(batch, ln.take(most-len(batch))...)
		}
	}
	return batch
}

// turn takes the first lane of the flow whose turn it is; the flow goes to the end.
func (l *lanes) turn(at int) *lane {
	f := l.turns[at]
	l.turns = append(l.turns[:at], l.turns[at+1:]...)
	ln := f.ready[0]
	f.ready = f.ready[1:]
	if len(f.ready) > 0 {
		l.turns = append(l.turns, f)
	}
	return ln
}

// kind is the flow that the lane belongs to, by its head.
func (ln *lane) kind() events.Type {
	if head := ln.queue[0]; !head.suspect() {
		return head.Event.Type
	}
	return suspects
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
		if ln.counted != nil {
			ln.counted.workers--
			ln.counted = nil
		}
		if len(ln.queue) > 0 {
			l.line(ln)
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
		l.turns = nil
		for _, f := range l.flows {
			f.ready = nil
		}
		for key, ln := range l.lanes {
			ln.queue = nil
			if !ln.busy {
				delete(l.lanes, key)
			}
		}
	}
	l.work.Broadcast()
}
