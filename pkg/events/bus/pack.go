package bus

import (
	"context"
	"sync"
	"time"
)

// pack is an entry that several events share: those of one type that were published
// at the same time. It is acknowledged when all are handled. When one fails, those
// that are not handled are taken out, each into an entry of its own on the group's
// own stream (see [events.Naming.Replays]), where attempts, back-off and dead letters
// are as for any other; so a bad event costs its neighbours nothing. One that was
// pending before it came is taken apart at once: what had been handled is not known.
type pack struct {
	mu     sync.Mutex
	events []*delivery
	open   int        // not settled yet
	failed []leftover // settled, but not handled
	gone   bool       // another member has it
}

// leftover is an event that leaves a pack: to be tried again after wait, or, with a
// class, to become a dead letter.
type leftover struct {
	letter
	wait time.Duration
}

// settle notes what became of an event. After the last one the pack is whole, when
// all were handled, or broken.
func (p *pack) settle(d *delivery, failed *leftover) (whole, broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.settled {
		return false, false
	}
	d.settled = true
	p.open--
	if failed != nil {
		p.failed = append(p.failed, *failed)
	}
	if p.open > 0 || p.gone {
		return false, false
	}
	return len(p.failed) == 0, len(p.failed) > 0
}

// release settles all events that are open: they have to leave. False when that is
// not needed: there are none, or, unless always, all are, so that the entry may stay
// pending as it is.
func (p *pack) release(always bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || p.open == 0 || p.open == len(p.events) && !always {
		return false
	}
	for _, d := range p.events {
		if !d.settled {
			d.settled = true
			p.failed = append(p.failed, leftover{letter: letter{delivery: d}})
		}
	}
	p.open = 0
	return true
}

// settled is told of each event of a pack once it is handled or has failed.
func (t *tenure) settled(d *delivery, failed *leftover) {
	switch whole, broken := d.pack.settle(d, failed); {
	case whole:
		t.acks.add(d)
	case broken:
		t.acks.takeApart(d.pack)
	}
}

// letGo forgets an entry that is another member's now.
func (t *tenure) letGo(d *delivery) {
	if p := d.pack; p != nil {
		p.mu.Lock()
		p.gone = true
		p.mu.Unlock()
	}
	t.hand.remove(d)
}

// apart runs apart.lua for a pack whose events are all settled.
func (t *tenure) apart(p *pack) error {
	d := p.events[0]
	args := []any{t.sub.Group, t.bus.cfg.Member, d.EntryID}
	for _, l := range p.failed {
		text := ""
		if l.cause != nil {
			text = errorText(l.cause)
		}
		args = append(args, l.Raw, l.Seq, l.begun, l.wait.Milliseconds(), l.class, text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), ackPatience)
	defer cancel()
	err := apartScript.Run(ctx, t.bus.rdb, []string{d.Stream, t.names.Replays(t.sub.Group, d.part)}, args...).Err()
	if err != nil && transient(err) {
		return err
	}
	t.hand.remove(d)
	return nil
}
