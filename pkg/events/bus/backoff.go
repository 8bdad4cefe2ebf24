package bus

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is how long to wait before try attempt+1, counted from 1: least doubled
// with each try up to most, of which a random half is taken off so that members
// which failed together do not return together. rnd gives [0,1).
func backoff(attempt int, least, most time.Duration, rnd func() float64) time.Duration {
	d := most
	if shift := attempt - 1; shift < 30 && least<<shift < most && least<<shift > 0 {
		d = least << shift
	}
	return d - time.Duration(rnd()*float64(d)/2)
}

func jitter() float64 { return rand.Float64() }

// pause sleeps for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
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
