package live

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
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
	rdb     redis.UniversalClient
	names   events.Naming
	limits  Limits
	script  *redis.Script
	buffers sync.Pool // of *[]byte: a batch's members and texts, which Redis has when Handle returns
	added   prometheus.Counter
	known   prometheus.Counter
}

// NewWriter makes one. rdb stays the caller's; reg may be nil.
func NewWriter(rdb redis.UniversalClient, names events.Naming, limits Limits, reg prometheus.Registerer) *Writer {
	entries := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "agentbus_live_entries_total", Help: "Events written to the logs of the live view: new, or known (delivered again, nothing changed).",
	}, []string{"outcome"})
	return &Writer{
		rdb: rdb, names: names, limits: limits.withDefaults(), script: redis.NewScript(appendLua),
		buffers: sync.Pool{New: func() any { return new([]byte) }},
		added:   entries.WithLabelValues("new"), known: entries.WithLabelValues("known"),
	}
}

// share is what a batch holds of one workflow.
type share struct {
	id   string
	top  int64 // the highest seq
	said said
	log  []any // the command that adds to the log: name, key, then seq and member of each event
}

func (s *share) events() int { return (len(s.log) - 2) / 2 }

// Handle is for [consumer.Subscription.HandleBatch]: a few commands, all in one round trip.
// Redis is both source and sink, so any failure of it is Unavailable; doing it again is harmless.
func (w *Writer) Handle(ctx context.Context, batch []consumer.Message) []error {
	outcome := make([]error, len(batch))
	shares := make(map[string]*share, len(batch))
	var order []*share
	buffer := w.buffers.Get().(*[]byte)
	out := (*buffer)[:0]
	defer func() {
		*buffer = out
		w.buffers.Put(buffer)
	}()
	for i, m := range batch {
		from := len(out)
		var err error
		if out, err = appendMember(out, m.Event, m.Seq); err != nil {
			outcome[i] = consumer.Permanent(err)
			continue
		}
		s := shares[m.Event.WorkflowID]
		if s == nil {
			s = &share{id: m.Event.WorkflowID, log: append(make([]any, 0, 8), "zadd", w.names.LiveLog(m.Event.WorkflowID))}
			shares[s.id] = s
			order = append(order, s)
		}
		s.top = max(s.top, m.Seq)
		s.log = append(s.log, m.Seq, out[from:])
		out = s.said.add(out, m.Event, m.Seq)
	}
	if err := w.append(ctx, order); err != nil {
		for i := range outcome {
			if outcome[i] == nil {
				outcome[i] = consumer.Unavailable(err)
			}
		}
	}
	return outcome
}

// callWorkflows bounds one script call, to well under a millisecond of the server's time, and to what Lua
// puts on its stack.
const callWorkflows = 64

func (w *Writer) append(ctx context.Context, shares []*share) error {
	if len(shares) == 0 {
		return nil
	}
	added, all := 0, 0
	send := func() error {
		logs := make([]*redis.Cmd, len(shares))
		_, err := w.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			// The logs go first, so that what a script announces is there to be read; and not through the
			// script: to take the events through Lua costs the server 3 µs more for each.
			for i, s := range shares {
				logs[i] = p.Do(ctx, s.log...)
				if keep := int64(w.limits.Entries); s.top > keep { // a log of lower numbers cannot be too long
					p.ZRemRangeByRank(ctx, s.log[1].(string), 0, -keep-1)
				}
			}
			for _, call := range w.calls(shares) {
				w.queue(ctx, p, call)
			}
			return nil
		})
		for _, c := range logs {
			n, _ := c.Int() // an error is among the pipeline's
			added += n
		}
		return err
	}
	err := send()
	if redis.HasErrorPrefix(err, "NOSCRIPT") || errors.Is(err, redis.Nil) {
		// A new or restarted server. Loading reaches every node of a cluster.
		if err := w.script.Load(ctx, w.rdb).Err(); err != nil {
			return fmt.Errorf("live view: load the script: %w", err)
		}
		err = send()
	}
	if err != nil {
		return fmt.Errorf("live view: %w", err)
	}
	for _, s := range shares {
		all += s.events()
	}
	w.added.Add(float64(added))
	w.known.Add(float64(all - added))
	return nil
}

// calls splits the shares into script calls: each of one partition.
func (w *Writer) calls(shares []*share) (calls [][]*share) {
	open := map[int]int{} // by partition, its latest call
	for _, s := range shares {
		part := w.names.Partition(s.id)
		at, ok := open[part]
		if !ok || len(calls[at]) == callWorkflows {
			at = len(calls)
			calls = append(calls, nil)
			open[part] = at
		}
		calls[at] = append(calls[at], s)
	}
	return calls
}

// queue lays out KEYS and ARGV as the script's head says.
func (w *Writer) queue(ctx context.Context, p redis.Pipeliner, call []*share) {
	keys := append(make([]string, 0, 1+2*len(call)), w.names.LiveList(w.names.Partition(call[0].id)))
	var ids []byte
	args := append(make([]any, 0, 4+10*len(call)), w.limits.TTL.Milliseconds(), w.limits.Rows, w.names.LiveListChannel(), nil)
	for _, s := range call {
		keys = append(keys, s.log[1].(string), w.names.LiveRow(s.id))
		ids = append(append(ids, ' '), s.id...)
		low := s.said[0].seq
		for _, part := range s.said {
			low = min(low, part.seq)
		}
		args = append(args, s.id, low, s.top, 2*len(s.said))
		for _, part := range s.said {
			args = append(args, part.names, []byte(part.text))
		}
	}
	args[3] = ids
	p.EvalSha(ctx, w.script.Hash(), keys, args...)
}
