package consumer

import (
	"sync"

	"agentbus/pkg/events"
)

// scheduler queues deliveries by workflow. One worker at a time takes from a workflow's
// queue, so its events never run at the same time in this member, while other workflows
// pass it by. Event types take turns, and none may hold the last free worker, so that a
// type that comes in masses does not hold up the others.
type scheduler struct {
	share   int // workers that one type may hold at once
	mu      sync.Mutex
	work    *sync.Cond
	queues  map[string]*queue // by workflow
	types   map[events.Type]*typeQueue
	turns   []*typeQueue // those with a ready queue; the first is next
	suspect bool         // a suspect is running; the others wait
	closed  bool
}

// queue is what waits of a workflow, by seq.
type queue struct {
	workflow string
	waiting  []*delivery
	busy     bool       // a worker has its head
	counted  *typeQueue // that its worker counts for; nil for a batch's further queues of a type
}

// typeQueue is what takes turns: the ready queues, those with something waiting and no
// worker, whose heads are of one type.
type typeQueue struct {
	typ     events.Type
	ready   []*queue
	workers int // that hold a batch of it
}

// suspects stands for the type of the suspects, whatever theirs is.
const suspects events.Type = "(suspects)"

// newScheduler makes that of a member that reads so many types.
func newScheduler(workers, types int) *scheduler {
	share := workers
	if types > 1 {
		share = max(1, workers-1)
	}
	s := &scheduler{share: share, queues: make(map[string]*queue), types: make(map[events.Type]*typeQueue)}
	s.work = sync.NewCond(&s.mu)
	return s
}

// push queues deliveries, each in its workflow's queue in order of seq.
func (s *scheduler) push(ds ...*delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range ds {
		q := s.queues[d.Event.WorkflowID]
		if q == nil {
			q = &queue{workflow: d.Event.WorkflowID}
			s.queues[q.workflow] = q
		}
		at := len(q.waiting)
		for at > 0 && q.waiting[at-1].Seq > d.Seq {
			at--
		}
		q.waiting = append(q.waiting, nil)
		copy(q.waiting[at+1:], q.waiting[at:])
		q.waiting[at] = d
		if !q.busy && len(q.waiting) == 1 {
			s.line(q)
		}
	}
	s.work.Broadcast()
}

// line puts a queue at the end of its type's ready ones, and a type that had none at
// the end of the turns.
func (s *scheduler) line(q *queue) {
	typ := q.typ()
	t := s.types[typ]
	if t == nil {
		t = &typeQueue{typ: typ}
		s.types[typ] = t
	}
	if len(t.ready) == 0 {
		s.turns = append(s.turns, t)
	}
	t.ready = append(t.ready, q)
}

// take blocks until work is there and returns up to most deliveries of one or
// more workflows, in order; nil means closed and empty. A suspect comes alone.
// The workflows stay busy until [scheduler.done].
func (s *scheduler) take(most int) []*delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if batch := s.pick(most); batch != nil {
			return batch
		}
		if s.closed && len(s.queues) == 0 {
			return nil
		}
		s.work.Wait()
	}
}

func (s *scheduler) pick(most int) []*delivery {
	var batch []*delivery
	inBatch := make(map[*typeQueue]bool, 1)
	for next := 0; next < len(s.turns) && len(batch) < most; {
		t := s.turns[next]
		counts := !inBatch[t]
		if (t.typ == suspects && (s.suspect || len(batch) > 0)) || (counts && t.workers >= s.share) {
			next++ // it keeps its turn
			continue
		}
		q := s.turn(next)
		switch {
		case q.typ() != t.typ: // its head came after it had been lined up
			s.line(q)
		case t.typ == suspects:
			s.suspect = true
			return q.take(1)
		default:
			if counts {
				inBatch[t] = true
				t.workers++
				q.counted = t
			}
			batch = append(batch, q.take(most-len(batch))...)
		}
	}
	return batch
}

// turn takes the first ready queue of the type whose turn it is; the type goes to the end.
func (s *scheduler) turn(at int) *queue {
	t := s.turns[at]
	s.turns = append(s.turns[:at], s.turns[at+1:]...)
	q := t.ready[0]
	t.ready = t.ready[1:]
	if len(t.ready) > 0 {
		s.turns = append(s.turns, t)
	}
	return q
}

// typ is the type that the queue waits with, by its head.
func (q *queue) typ() events.Type {
	if head := q.waiting[0]; !head.suspect() {
		return head.Event.Type
	}
	return suspects
}

// take removes up to n deliveries from the head, stopping before a suspect that
// is not the first.
func (q *queue) take(n int) []*delivery {
	n = min(n, len(q.waiting))
	for i := 1; i < n; i++ {
		if q.waiting[i].suspect() {
			n = i
		}
	}
	out := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	q.busy = true
	return out
}

// done gives the batch's workflows back.
func (s *scheduler) done(batch []*delivery, suspect bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if suspect {
		s.suspect = false
	}
	for _, d := range batch {
		q := s.queues[d.Event.WorkflowID]
		if q == nil || !q.busy {
			continue
		}
		q.busy = false
		if q.counted != nil {
			q.counted.workers--
			q.counted = nil
		}
		if len(q.waiting) > 0 {
			s.line(q)
		} else {
			delete(s.queues, q.workflow)
		}
	}
	s.work.Broadcast()
}

// close lets take return nil once everything is taken; with drop, what is still
// queued is forgotten (it stays pending in Redis).
func (s *scheduler) close(drop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if drop {
		s.turns = nil
		for _, t := range s.types {
			t.ready = nil
		}
		for key, q := range s.queues {
			q.waiting = nil
			if !q.busy {
				delete(s.queues, key)
			}
		}
	}
	s.work.Broadcast()
}
