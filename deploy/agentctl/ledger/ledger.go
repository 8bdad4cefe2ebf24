package ledger

import (
	"context"
	"errors"
	"slices"
	"sync"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// Outcome is what a producer heard about one event.
type Outcome int

const (
	Unknown Outcome = iota // no answer: the event is there or not
	Acked                  // the bus has it: it must not be lost
	Failed                 // refused before anything was added: it must have no effect
)

// Ledger collects attempts and effects. Its methods may be called from any
// goroutine.
type Ledger struct {
	mu       sync.Mutex
	attempts map[string]attempt // by event id
	groups   []*account
}

type attempt struct {
	typ     events.Type
	outcome Outcome
}

// account is what happened in one group.
type account struct {
	group   string
	wants   []events.Type  // empty: every type
	effects map[string]int // by event id
	letters map[string]int // by event id
}

// New makes a ledger for these groups; each is expected to have an effect for
// every event, unless [Ledger.Restrict] says otherwise.
func New(groups ...string) *Ledger {
	l := &Ledger{attempts: make(map[string]attempt)}
	for _, g := range groups {
		l.account(g)
	}
	return l
}

// Restrict says that a group consumes these types only.
func (l *Ledger) Restrict(group string, types ...events.Type) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.account(group).wants = types
}

// Attempt writes down that e is about to be published; its outcome is Unknown
// until [Ledger.Outcome] tells it. A second attempt of the same event changes
// nothing.
func (l *Ledger) Attempt(e events.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, again := l.attempts[e.ID]; !again {
		l.attempts[e.ID] = attempt{typ: e.Type}
	}
}

// Outcome writes down how the publishing of an event ended. Once acknowledged it
// stays so, whatever a repeat heard.
func (l *Ledger) Outcome(id string, o Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.attempts[id]
	if a.outcome == Acked {
		return
	}
	a.outcome = o
	l.attempts[id] = a
}

// Effect counts one effect of an event in a group: a row written, a line put out.
func (l *Ledger) Effect(group, eventID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.account(group).effects[eventID]++
}

// Effects is how many effects a group has had.
func (l *Ledger) Effects(group string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, times := range l.account(group).effects {
		n += times
	}
	return n
}

// DeadLetter writes down that a group has a dead letter of an event.
func (l *Ledger) DeadLetter(group, eventID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.account(group).letters[eventID]++
}

// Publish publishes events and writes down attempt and outcome of each.
func (l *Ledger) Publish(ctx context.Context, b *bus.Bus, evs ...events.Event) ([]bus.Receipt, error) {
	for _, e := range evs {
		l.Attempt(e)
	}
	receipts, err := b.Publish(ctx, evs...)
	outcome := Acked
	if err != nil {
		outcome = Unknown
		var field *events.FieldError
		if errors.As(err, &field) {
			outcome = Failed // found before anything was sent
		}
	}
	for _, e := range evs {
		l.Outcome(e.ID, outcome)
	}
	return receipts, err
}

// account finds a group's account or opens it; the caller holds the lock.
func (l *Ledger) account(group string) *account {
	i := slices.IndexFunc(l.groups, func(a *account) bool { return a.group == group })
	if i >= 0 {
		return l.groups[i]
	}
	a := &account{group: group, effects: make(map[string]int), letters: make(map[string]int)}
	l.groups = append(l.groups, a)
	return a
}

func (a *account) consumes(t events.Type) bool {
	return len(a.wants) == 0 || slices.Contains(a.wants, t)
}
