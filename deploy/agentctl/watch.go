package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"agentbus/deploy/agentctl/coordinator"
	"agentbus/deploy/agentctl/live"
)

const (
	// lookLive is how often the API is asked while live events come: for the end, should they not.
	lookLive = 2 * time.Second
	// lookPolling is how often it is asked when they do not.
	lookPolling = 300 * time.Millisecond
)

// display shows a board as it changes; it is closed once.
type display interface {
	show(b board)
	close()
}

// watch follows a workflow to its end. A Ctrl-C ends the watching, not the workflow.
func (a *app) watch(ctx context.Context, w coordinator.Workflow) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	w, err := a.present(ctx, w)
	if err != nil && ctx.Err() != nil && !w.Final() {
		fmt.Fprintf(a.err, "no longer watching; %s goes on, see agentctl workflows get %s\n", w.ID, w.ID)
		return nil
	}
	return err
}

// present shows the course of a workflow and a summary of its end, and returns the last view. The error
// is a [workflowError] when it did not complete, or says why it could not be followed.
func (a *app) present(ctx context.Context, w coordinator.Workflow) (coordinator.Workflow, error) {
	var d display
	switch {
	case a.json():
		d = jsonDisplay{}
	case terminal(a.out):
		d = newBars(a.out, w)
	default:
		d = newLines(a.out)
	}
	w, err := a.follow(ctx, w, d)
	d.close()
	if err != nil {
		return w, err
	}
	if a.json() {
		err = a.print(map[string]any{"type": "workflow", "workflow": w})
	} else {
		fmt.Fprintln(a.out)
		err = summarize(a.out, w, time.Now())
	}
	return w, errors.Join(err, ended(w))
}

// follow moves the board by live events, and by the API where there are none.
func (a *app) follow(ctx context.Context, w coordinator.Workflow, d display) (coordinator.Workflow, error) {
	client, address := a.coordinator(), a.websocket()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	var b board
	b.look(w)
	d.show(b)
	frames, away := make(chan live.Frame), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := live.Follow(ctx, func() string { return address }, a.token, w.ID, func(f live.Frame) bool {
			select {
			case frames <- f:
				return true
			case <-ctx.Done():
				return false
			}
		})
		if err != nil {
			close(away) // the API is asked instead
		}
	}()
	defer func() { cancel(); <-ended }()

	every := lookLive
	if conn, err := live.Dial(ctx, address, a.token, w.ID, 0); err != nil {
		every = lookPolling
	} else {
		_ = conn.Close() // it answers, that is all
	}
	look := time.NewTicker(every)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return w, ctx.Err()
		case f := <-frames:
			if f.Type == "event" {
				if err := a.printFrame(f); err != nil {
					return w, err
				}
				b.apply(f.Event)
			}
		case <-away:
			away, every = nil, lookPolling
			look.Reset(every)
		case <-look.C:
			seen, err := client.Get(ctx, w.ID)
			if err != nil && !errors.Is(err, coordinator.ErrUnreachable) && !errors.As(err, new(*coordinator.Problem)) && ctx.Err() == nil {
				continue // a lost answer; the next look tells
			}
			if err != nil {
				var problem *coordinator.Problem
				if errors.As(err, &problem) && problem.Status/100 == 4 {
					return w, err
				}
				continue // it may be restarting; live events go on
			}
			w = seen
			if every == lookPolling || w.Final() {
				b.look(w)
			}
		}
		d.show(b)
		if b.final() {
			return lastView(ctx, client, w)
		}
	}
}

// lastView asks until the API says what the events did: it may be a moment behind, or restarting.
func lastView(ctx context.Context, client *coordinator.Client, w coordinator.Workflow) (coordinator.Workflow, error) {
	for try := 0; ; try++ {
		seen, err := client.Get(ctx, w.ID)
		if err == nil && seen.Final() {
			return seen, nil
		}
		if err == nil {
			err = fmt.Errorf("%s ended, but the coordinator says it is %s", w.ID, seen.State)
		}
		if try == 50 {
			return w, err
		}
		select {
		case <-ctx.Done():
			return w, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (a *app) printFrame(f live.Frame) error {
	if !a.json() {
		return nil
	}
	return a.print(map[string]any{"type": "event", "seq": f.Seq, "event": f.Event})
}

// jsonDisplay shows nothing: the events themselves are printed.
type jsonDisplay struct{}

func (jsonDisplay) show(board) {}
func (jsonDisplay) close()     {}
