package live

import (
	"context"
	"errors"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
	patience   = 30 * time.Second // without any connection
)

// ErrAway is returned by Follow when no server could be reached for half a minute.
var ErrAway = errors.New("no websocket-manager answers")

// Follow hands on every frame of the workflow, from its first event on, until told returns false (the
// error is nil) or ctx ends (nil too). A lost connection is made again and goes on after the last event;
// base is asked each time where. token is as for [Dial], and ends it with [ErrToken] when it is not accepted.
func Follow(ctx context.Context, base func() string, token, workflowID string, told func(Frame) bool) error {
	since, pause, lost := int64(0), firstPause, time.Now()
	for {
		conn, err := Dial(ctx, base(), token, workflowID, since)
		if err == nil {
			pause = firstPause
			var more bool
			more, since, err = read(ctx, conn, since, told)
			_ = conn.Close() // it may be gone
			lost = time.Now()
			if !more {
				return nil
			}
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // err says only that ctx has ended
		}
		if errors.Is(err, ErrToken) {
			return err
		}
		if time.Since(lost) > patience {
			return errors.Join(ErrAway, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		}
	}
}

func read(ctx context.Context, conn *Conn, since int64, told func(Frame) bool) (more bool, last int64, err error) {
	for {
		f, err := conn.Next(ctx)
		if err != nil {
			return true, since, err
		}
		switch f.Type {
		case "event":
			since = f.Seq
		case "gap":
			since = f.To
		}
		if !told(f) {
			return false, since, nil
		}
	}
}
