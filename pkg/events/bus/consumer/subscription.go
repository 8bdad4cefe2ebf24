package consumer

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"agentbus/pkg/events"
)

// Subscription is a member's part in a consumer group. The zero value of each
// optional field is its documented default.
type Subscription struct {
	Group string        // e.g. "db_writers"; made where missing
	Types []events.Type // see [events.Match]
	Start string        // where a group that is made begins: "0", the oldest entry kept (default), "$", now, or behind an entry id; see [After]

	// Exactly one of the two is set. The error decides what happens next: see
	// [Permanent] and [Unavailable]; any other is retried. HandleBatch returns nil
	// when all went well, else one error (or nil) per message in order. One
	// workflow's events never run at the same time in one member; within a batch
	// they are in seq order as far as this member has read them.
	Handle      func(ctx context.Context, m Message) error
	HandleBatch func(ctx context.Context, batch []Message) []error

	Concurrency    int           // handlers running at once; 16, or 1 for HandleBatch. Of several Types one has all but one of them at most
	MaxBatch       int           // messages of one batch; 500
	Gather         time.Duration // least time between two reads that bring little; 1 ms. A lone event never waits, under load a longer one is fewer, larger batches
	Prefetch       int           // events in flight at once, about; 1000. Of several Types each may always have its share, so it can be up to twice that
	HandlerTimeout time.Duration // the handler's context ends; 30 s
	MaxDeliveries  int           // attempts before the dead letter; 5
	BackoffMin     time.Duration // before the second attempt, doubled with each; 100 ms
	BackoffMax     time.Duration // at most; 30 s
	DrainTimeout   time.Duration // for the work in hand when the context ends; 20 s
}

func (s Subscription) withDefaults() Subscription {
	or := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	orTime := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	if s.HandleBatch != nil {
		or(&s.Concurrency, 1)
		or(&s.MaxBatch, 500)
	}
	if s.Start == "" {
		s.Start = "0"
	}
	or(&s.Concurrency, 16)
	or(&s.MaxBatch, 1)
	or(&s.Prefetch, 1000)
	or(&s.MaxDeliveries, 5)
	orTime(&s.Gather, time.Millisecond)
	orTime(&s.HandlerTimeout, 30*time.Second)
	orTime(&s.BackoffMin, 100*time.Millisecond)
	orTime(&s.BackoffMax, 30*time.Second)
	orTime(&s.DrainTimeout, 20*time.Second)
	if h := s.Handle; h != nil && s.HandleBatch == nil {
		s.MaxBatch = 1
		s.HandleBatch = func(ctx context.Context, batch []Message) []error {
			if err := h(ctx, batch[0]); err != nil {
				return []error{err}
			}
			return nil
		}
		s.Handle = nil
	}
	return s
}

// After is a [Subscription]'s Start, or a [Tailing]'s From, for what was added at t or
// later, by the Redis server's clock.
func After(t time.Time) string { return fmt.Sprintf("%d-0", max(0, t.UnixMilli()-1)) }

// startPattern is what Redis takes for a place in a stream.
var startPattern = regexp.MustCompile(`^(\$|\d{1,19}(-\d{1,19})?)$`)

func (s Subscription) validate() error {
	switch {
	case s.Group == "":
		return errors.New("subscription: Group is missing")
	case !startPattern.MatchString(s.Start):
		return fmt.Errorf("subscription: Start is %q; 0, $ or an entry id such as 1700000000000-0", s.Start)
	case len(s.Types) == 0:
		return errors.New("subscription: Types is empty")
	case s.HandleBatch == nil:
		return errors.New("subscription: neither Handle nor HandleBatch is set")
	case s.Handle != nil:
		return errors.New("subscription: both Handle and HandleBatch are set")
	case s.Concurrency < 1 || s.MaxBatch < 1 || s.MaxDeliveries < 1:
		return errors.New("subscription: Concurrency, MaxBatch and MaxDeliveries are at least 1")
	case s.Prefetch < s.Concurrency:
		return fmt.Errorf("subscription: Prefetch %d is less than Concurrency %d", s.Prefetch, s.Concurrency)
	}
	for _, t := range s.Types {
		if _, ok := events.SpecOf(t); !ok {
			return fmt.Errorf("subscription: Types has the unknown type %q", t)
		}
	}
	return nil
}
