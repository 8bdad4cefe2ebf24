package live

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// Feed is a replica's view of the live logs: it reads those only that it has a watch for. Its methods may
// be called from any goroutine.
type Feed struct {
	store    *store
	patience time.Duration
	pubsub   *redis.PubSub
	list     *list
	ctx      context.Context // ends with Close; hubs live in it
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu   sync.Mutex
	hubs map[string]*running // by workflow

	watching prometheus.Gauge
}

type running struct {
	*hub
	stop context.CancelFunc
}

// NewFeed follows the logs in rdb, which stays the caller's. patience is how long a missing event is
// waited for. Close it.
func NewFeed(rdb redis.UniversalClient, names events.Naming, limits Limits, patience time.Duration, reg prometheus.Registerer) *Feed {
	ctx, cancel := context.WithCancel(context.Background())
	f := &Feed{
		store: &store{rdb: rdb, names: names, limits: limits.withDefaults()}, patience: patience,
		ctx: ctx, cancel: cancel, hubs: map[string]*running{},
		watching: promauto.With(reg).NewGauge(prometheus.GaugeOpts{
			Name: "agentbus_live_workflows_watched", Help: "Workflows this replica has a client for."}),
	}
	f.list = newList(f.store)
	f.pubsub = rdb.Subscribe(ctx, names.LiveListChannel())
	f.wg.Go(func() { f.list.run(ctx) })
	f.wg.Go(f.listen)
	return f
}

// Close ends all watches' feeds and waits for it.
func (f *Feed) Close() {
	f.cancel()
	_ = f.pubsub.Close()
	f.wg.Wait()
}

// listen hands announcements on. A confirmed subscription, the first or one after the connection was
// lost, counts as one: what was missed meanwhile is read.
func (f *Feed) listen() {
	listChannel := f.store.names.LiveListChannel()
	for message := range f.pubsub.ChannelWithSubscriptions() {
		channel, id := "", ""
		switch m := message.(type) {
		case *redis.Message:
			channel, id = m.Channel, m.Payload
		case *redis.Subscription:
			if m.Kind != "subscribe" {
				continue
			}
			channel = m.Channel
		}
		if channel == listChannel {
			ids := strings.Fields(id)
			f.list.changed(ids...)
			f.wake(ids...)
			continue
		}
		f.wake(strings.TrimPrefix(channel, f.store.names.LiveChannel("")))
	}
}

// wake makes the hubs of those workflows read that have one here.
func (f *Feed) wake(workflowIDs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range workflowIDs {
		if h := f.hubs[id]; h != nil {
			h.wake()
		}
	}
}

// Watch begins at the event after since. signal is called, from any goroutine and without waiting,
// whenever Next may have more.
func (f *Feed) Watch(ctx context.Context, workflowID string, since int64, signal func()) (*Watch, error) {
	w := &Watch{feed: f, at: since, signal: signal}
	if since > 0 {
		// Who was told a number was told it out of this log, so it cannot be above the highest.
		last, err := f.store.last(ctx, workflowID)
		if err != nil {
			return nil, err
		}
		if since > last {
			w.at, w.Reset = 0, true
		}
	}
	channel := f.store.names.LiveChannel(workflowID)
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.hubs[workflowID]
	if r == nil {
		hubCtx, stop := context.WithCancel(f.ctx)
		r = &running{newHub(workflowID, f.store, f.patience), stop}
		f.hubs[workflowID] = r
		f.watching.Inc()
		f.wg.Go(func() { r.run(hubCtx) })
		// Announced is in the list's channel, which is subscribed by then. The workflow's own says when the hub
		// can begin, the first time and after each loss of the connection, and earlier versions announce there.
		// An error means that the connection is down: the channel is remembered and subscribed when it
		// is up again, and listen is told.
		_ = f.pubsub.Subscribe(ctx, channel)
	}
	w.hub = r.hub
	r.mu.Lock()
	r.watches[w] = struct{}{}
	r.mu.Unlock()
	return w, nil
}

func (f *Feed) release(w *Watch) {
	channel := f.store.names.LiveChannel(w.hub.workflowID)
	f.mu.Lock()
	defer f.mu.Unlock()
	w.hub.mu.Lock()
	_, had := w.hub.watches[w]
	delete(w.hub.watches, w)
	left := len(w.hub.watches)
	w.hub.mu.Unlock()
	if had && left == 0 {
		f.hubs[w.hub.workflowID].stop()
		delete(f.hubs, w.hub.workflowID)
		f.watching.Dec()
		_ = f.pubsub.Unsubscribe(f.ctx, channel)
	}
}

// WatchList follows the rows of all workflows whose tenant the watcher sees.
func (f *Feed) WatchList(sees func(tenant string) bool, signal func()) *ListWatch {
	w := &ListWatch{list: f.list, sees: sees, signal: signal}
	f.list.mu.Lock()
	f.list.loaded = false // read anew: the snapshot is one moment's
	f.list.watches[w] = struct{}{}
	f.list.mu.Unlock()
	f.list.wake()
	return w
}

// Last is the highest number of the workflow known here; 0 when there is none.
func (f *Feed) Last(ctx context.Context, workflowID string) (int64, error) {
	return f.store.last(ctx, workflowID)
}

// Between are the events kept with numbers from and to, both included, by number.
func (f *Feed) Between(ctx context.Context, workflowID string, from, to int64) (map[int64]json.RawMessage, error) {
	out := make(map[int64]json.RawMessage)
	for after := from - 1; ; {
		page, whole, err := f.store.page(ctx, workflowID, after, to)
		if err != nil {
			return nil, err
		}
		for _, it := range page {
			var kept struct{ Event json.RawMessage }
			if err := json.Unmarshal(it.Frame, &kept); err != nil {
				return nil, fmt.Errorf("event %d of %s in the live log: %w", it.From, workflowID, err)
			}
			out[it.From] = kept.Event
			after = it.From
		}
		if whole {
			return out, nil
		}
	}
}
