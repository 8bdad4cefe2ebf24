package wire

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is how long to wait before try attempt+1, counted from 1: least doubled
// with each try up to most, of which a random half is taken off so that members
// which failed together do not return together. rnd gives [0,1).
func Backoff(attempt int, least, most time.Duration, rnd func() float64) time.Duration {
	d := most
	if shift := attempt - 1; shift < 30 && least<<shift < most && least<<shift > 0 {
		d = least << shift
	}
	return d - time.Duration(rnd()*float64(d)/2)
}

// Jitter is the random number that [Backoff] asks for.
func Jitter() float64 { return rand.Float64() }

// Pause sleeps for d or until ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Signal wakes who waits on c, now or when it next waits.
func Signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
