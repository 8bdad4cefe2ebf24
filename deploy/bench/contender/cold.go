package contender

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/deploy/bench/workload"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// Cold is how groups began with a backlog.
type Cold struct {
	Seconds, PerSecond float64
	PeakMiB            float64 // resident in this process
}

// ColdStart publishes a backlog of n events, then starts the groups and waits until each has handled all of it.
func ColdStart(ctx context.Context, s Setup, n, perEntry int) (Cold, error) {
	b, err := bus.Open(ctx, bus.Config{URL: s.URL, EventsPerEntry: perEntry, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()})
	if err != nil {
		return Cold{}, err
	}
	const call = 256
	next := workload.Source(1000)
	for i := 0; i < n; {
		list := make([]events.Event, 0, call)
		for ; len(list) < call && i < n; i++ {
			list = append(list, next(i).Event)
		}
		if _, err := b.Publish(ctx, list...); err != nil {
			return Cold{}, errors.Join(err, b.Close())
		}
	}
	if err := b.Close(); err != nil {
		return Cold{}, err
	}
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the peak begins anew, where there is such a thing
	var handled atomic.Int64
	begun := time.Now()
	s.Handled = func(int, int) { handled.Add(1) }
	groups, err := Agentbus(ctx, s, BusOptions{})
	if err != nil {
		return Cold{}, err
	}
	const patience = 5 * time.Minute
	for handled.Load() < int64(n*s.Groups) {
		if ctx.Err() != nil || time.Since(begun) > patience {
			return Cold{}, errors.Join(fmt.Errorf("%d of %d handled", handled.Load(), n*s.Groups), groups.Close())
		}
		time.Sleep(10 * time.Millisecond)
	}
	took := time.Since(begun).Seconds()
	return Cold{took, float64(n) / took, workload.PeakMiB(os.Getpid())}, groups.Close()
}
