package live

import (
	"context"
	_ "embed" // the script
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

//go:embed append.lua
var appendLua string

// Limits of what the live view keeps. The zero value of a field is its default.
type Limits struct {
	Entries int           // events of one workflow; 2000
	TTL     time.Duration // how long a log outlives its latest event; 24 h
	Rows    int           // workflows of the list; 1000
}

func (l Limits) withDefaults() Limits {
	if l.Entries == 0 {
		l.Entries = 2000
	}
	if l.TTL == 0 {
		l.TTL = 24 * time.Hour
	}
	if l.Rows == 0 {
		l.Rows = 1000
	}
	return l
}

// Writer is the handler of the group websocket_workers.
type Writer struct {
	rdb    redis.UniversalClient
	names  events.Naming
	limits Limits
	script *redis.Script
	added  prometheus.Counter
	known  prometheus.Counter
}

// NewWriter makes one. rdb stays the caller's; reg may be nil.
func NewWriter(rdb redis.UniversalClient, names events.Naming, limits Limits, reg prometheus.Registerer) *Writer {
	entries := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "agentbus_live_entries_total", Help: "Events written to the logs of the live view: new, or known (delivered again, nothing changed).",
	}, []string{"outcome"})
	return &Writer{
		rdb: rdb, names: names, limits: limits.withDefaults(), script: redis.NewScript(appendLua),
		added: entries.WithLabelValues("new"), known: entries.WithLabelValues("known"),
	}
}

// share is what a batch holds of one workflow.
type share struct {
	id   string
	said said
	args []any // seq, member, seq, member, ...
}

// Handle is for [bus.Subscription.HandleBatch]: a few script calls, all in one round trip.
// Redis is both source and sink, so any failure of it is Unavailable; doing it again is harmless.
func (w *Writer) Handle(ctx context.Context, batch []bus.Message) []error {
	outcome := make([]error, len(batch))
	shares := map[string]*share{}
	var order []*share
	for i, m := range batch {
		line, err := member(m.Event, m.Seq)
		if err != nil {
			outcome[i] = bus.Permanent(err)
			continue
		}
		s := shares[m.Event.WorkflowID]
		if s == nil {
			s = &share{id: m.Event.WorkflowID, said: said{}}
			shares[s.id] = s
			order = append(order, s)
		}
		s.said.add(m.Event, m.Seq)
		s.args = append(s.args, m.Seq, line)
	}
	if err := w.append(ctx, order); err != nil {
		for i := range outcome {
			if outcome[i] == nil {
				outcome[i] = bus.Unavailable(err)
			}
		}
	}
	return outcome
}

// callWorkflows and callEvents bound one script call, to about a millisecond of the server's time, and to
// what Lua puts on its stack.
const (
	callWorkflows = 64
	callEvents    = 256
)

func (w *Writer) append(ctx context.Context, shares []*share) error {
	if len(shares) == 0 {
		return nil
	}
	send := func() ([]redis.Cmder, error) {
		return w.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, call := range w.calls(shares) {
				if err := w.queue(ctx, p, call); err != nil {
					return err
				}
			}
			return nil
		})
	}
	done, err := send()
	if redis.HasErrorPrefix(err, "NOSCRIPT") || errors.Is(err, redis.Nil) {
		// A new or restarted server. Loading reaches every node of a cluster.
		if err := w.script.Load(ctx, w.rdb).Err(); err != nil {
			return fmt.Errorf("live view: load the script: %w", err)
		}
		done, err = send()
	}
	if err != nil {
		return fmt.Errorf("live view: %w", err)
	}
	added, all := 0, 0
	for _, c := range done {
		n, err := c.(*redis.Cmd).Int()
		if err != nil {
			return fmt.Errorf("live view: %w", err)
		}
		added += n
	}
	for _, s := range shares {
		all += len(s.args) / 2
	}
	w.added.Add(float64(added))
	w.known.Add(float64(all - added))
	return nil
}

// calls splits the shares into script calls: each of one partition. A share alone may be larger than
// callEvents, as large as a batch.
func (w *Writer) calls(shares []*share) (calls [][]*share) {
	open := map[int]int{} // by partition, its latest call
	events := map[int]int{}
	for _, s := range shares {
		part, size := w.names.Partition(s.id), len(s.args)/2
		at, ok := open[part]
		if !ok || len(calls[at]) == callWorkflows || events[part]+size > callEvents {
			at = len(calls)
			calls = append(calls, nil)
			open[part], events[part] = at, 0
		}
		calls[at] = append(calls[at], s)
		events[part] += size
	}
	return calls
}

// queue lays out KEYS and ARGV as the script's head says.
func (w *Writer) queue(ctx context.Context, p redis.Pipeliner, call []*share) error {
	keys := []string{w.names.LiveList(w.names.Partition(call[0].id))}
	args := []any{w.limits.Entries, w.limits.TTL.Milliseconds(), w.limits.Rows, w.names.LiveListChannel()}
	for _, s := range call {
		keys = append(keys, w.names.LiveLog(s.id), w.names.LiveRow(s.id))
		args = append(args, s.id, w.names.LiveChannel(s.id), len(s.args)/2, len(s.said))
		args = append(args, s.args...)
		values := make([]any, 0, 2*len(s.said))
		for name, field := range s.said {
			value, err := json.Marshal(field.value)
			if err != nil {
				return fmt.Errorf("row as JSON: %w", err)
			}
			args = append(args, name)
			values = append(values, field.seq, value)
		}
		args = append(args, values...)
	}
	p.EvalSha(ctx, w.script.Hash(), keys, args...)
	return nil
}
