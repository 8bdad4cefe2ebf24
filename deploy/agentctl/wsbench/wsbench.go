package wsbench

import (
	"context"
	"fmt"
	"time"
)

// Options of [Run]; all fields are needed.
type Options struct {
	Bin       string        // folder with the services' programs
	Idle      int           // idle connections
	Busy      int           // clients under load
	PerSecond int           // events per second
	For       time.Duration // of each measurement under load
	Progress  func(string)  // told what begins
}

// Latency is from an event's timestamp to its frame in a client.
type Latency struct {
	P50    time.Duration `json:"p50_ns"`
	P99    time.Duration `json:"p99_ns"`
	P999   time.Duration `json:"p999_ns"`
	Max    time.Duration `json:"max_ns"`
	Frames int           `json:"frames"`
	Broken int           `json:"broken"` // connections of readers that ended
}

// Result is what was measured.
type Result struct {
	Idle struct {
		Clients  int     `json:"clients"`
		KiB      float64 `json:"kib_per_client"` // resident memory that the process grew by
		Seconds  float64 `json:"seconds"`        // to connect them all
		Resident int64   `json:"resident_bytes"`
	} `json:"idle"`
	Busy struct {
		Latency
		Clients   int     `json:"clients"`
		Workflows int     `json:"workflows"`
		PerSecond int     `json:"events_per_second"`
		Expected  float64 `json:"expected_frames"`
	} `json:"busy"`
	Deaf struct {
		Clients int     `json:"clients"`
		Deaf    int     `json:"deaf"`
		Without Latency `json:"without"` // nobody is deaf
		With    Latency `json:"with"`
		Ratio   float64 `json:"p99_ratio"`
	} `json:"deaf"`
}

const (
	busyWorkflows = 100
	deafClients   = 200
	deafWorkflows = 20
	deaf          = 20
	settle        = 3 * time.Second // for the last frames, and for memory to be given back
)

// Run measures all, each with a websocket-manager of its own.
func Run(ctx context.Context, o Options) (*Result, error) {
	r := new(Result)
	for _, part := range []func(context.Context, Options, *Result) error{idle, busy, bothDeaf} {
		if err := part(ctx, o, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func idle(ctx context.Context, o Options, r *Result) error {
	o.Progress(fmt.Sprintf("%d idle clients", o.Idle))
	s, err := start(ctx, o.Bin, o.Idle)
	if err != nil {
		return err
	}
	defer s.stop()
	before, err := s.Memory()
	if err != nil {
		return err
	}
	begun := time.Now()
	c, err := dial(ctx, s.URL(service, "HTTP_ADDR"), o.Idle, busyWorkflows, 0)
	if err != nil {
		return err
	}
	defer c.close()
	r.Idle.Clients, r.Idle.Seconds = o.Idle, time.Since(begun).Seconds()
	if err := pause(ctx, settle); err != nil {
		return err
	}
	if r.Idle.Resident, err = s.Memory(); err != nil {
		return err
	}
	r.Idle.KiB = float64(r.Idle.Resident-before) / 1024 / float64(o.Idle)
	return nil
}

func busy(ctx context.Context, o Options, r *Result) (err error) {
	o.Progress(fmt.Sprintf("%d clients at %d events/s", o.Busy, o.PerSecond))
	b := &r.Busy
	b.Clients, b.Workflows, b.PerSecond = o.Busy, busyWorkflows, o.PerSecond
	b.Expected = float64(o.PerSecond) * o.For.Seconds() * float64(o.Busy) / busyWorkflows
	b.Latency, err = under(ctx, o, o.Busy, busyWorkflows, 0)
	return err
}

func bothDeaf(ctx context.Context, o Options, r *Result) (err error) {
	d := &r.Deaf
	d.Clients, d.Deaf = deafClients, deaf
	o.Progress(fmt.Sprintf("%d clients, all of which read", deafClients))
	if d.Without, err = under(ctx, o, deafClients, deafWorkflows, 0); err != nil {
		return err
	}
	o.Progress(fmt.Sprintf("%d clients, %d of which never read", deafClients, deaf))
	if d.With, err = under(ctx, o, deafClients, deafWorkflows, deaf); err != nil {
		return err
	}
	d.Ratio = float64(d.With.P99) / float64(d.Without.P99)
	return nil
}

// under measures a crowd under load, after a second for warming up.
func under(ctx context.Context, o Options, clients, workflows, deaf int) (Latency, error) {
	s, err := start(ctx, o.Bin, clients)
	if err != nil {
		return Latency{}, err
	}
	defer s.stop()
	c, err := dial(ctx, s.URL(service, "HTTP_ADDR"), clients, workflows, deaf)
	if err != nil {
		return Latency{}, err
	}
	defer c.close()
	if err := s.publish(ctx, o.PerSecond, workflows, time.Second); err != nil {
		return Latency{}, err
	}
	if err := pause(ctx, time.Second); err != nil {
		return Latency{}, err
	}
	c.quantiles()
	if err := s.publish(ctx, o.PerSecond, workflows, o.For); err != nil {
		return Latency{}, err
	}
	return c.quantilesAfter(ctx, settle)
}

func (c *crowd) quantilesAfter(ctx context.Context, d time.Duration) (Latency, error) {
	if err := pause(ctx, d); err != nil {
		return Latency{}, err
	}
	return c.quantiles(), nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
