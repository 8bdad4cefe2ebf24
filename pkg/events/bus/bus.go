package bus

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"agentbus/pkg/events"
)

// Bus is one process's connection to the event backbone. Its methods may be
// called from any goroutine.
type Bus struct {
	cfg     Config
	names   events.Naming
	log     zerolog.Logger
	metrics *metrics
	rhythm  rhythm
	census  census

	// rdb serves scripts and plain calls. Neither client retries by itself: a
	// lost reply must be repeated with the same event id, not blindly.
	rdb redis.UniversalClient
	// reader serves blocking reads, which would starve a shared pool.
	reader redis.UniversalClient

	// trouble is why publishing does not get on, for callers whose time is up; nil
	// when it does.
	trouble atomic.Pointer[error]

	classes    durabilities
	publishers [Fsync + 1]*publisher // by class: who wants no confirmation does not wait for others'
	closeOnce  sync.Once
}

// Open connects to Redis, checks that the server is fit (see [ErrServer]) and
// starts the publisher. It waits for a server that is still starting until ctx
// ends. Close the Bus after its last use.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	classes, err := parseDurabilities(cfg.Durability)
	if err != nil {
		return nil, err
	}
	rdb, err := newClient(cfg.URL, 0)
	if err != nil {
		return nil, err
	}
	// The client would print lines of its own when Redis is away; what matters of
	// that is told here, in the process's log. Its logger can be set for all only.
	redis.SetLogger(silent{})
	reader, err := newClient(cfg.URL, blockTime)
	if err != nil {
		return nil, err
	}
	b := &Bus{cfg: cfg, rhythm: defaultRhythm, classes: classes, names: cfg.naming(), log: cfg.Log, metrics: newMetrics(cfg.Metrics), rdb: rdb, reader: reader}
	if err := b.awaitServer(ctx); err != nil {
		_ = rdb.Close()
		_ = reader.Close()
		return nil, err
	}
	for class := range b.publishers {
		senders := confirmedSenders
		if Durability(class) == Async {
			senders = asyncSenders
		}
		b.publishers[class] = startPublisher(b, senders)
	}
	return b, nil
}

// respVersion: the newer protocol has the client look for pushed messages before
// each reply, and gives the bus nothing.
const respVersion = 2

// newClient reads the URL; extraRead is added to the read time-out for calls
// that block in the server.
func newClient(url string, extraRead time.Duration) (redis.UniversalClient, error) {
	const dial, io = 2 * time.Second, 5 * time.Second
	switch kind, rest, _ := strings.Cut(url, "://"); {
	case strings.HasSuffix(kind, "+cluster"):
		o, err := redis.ParseClusterURL(strings.TrimSuffix(kind, "+cluster") + "://" + rest)
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL: %w", err)
		}
		o.MaxRetries, o.DialTimeout, o.WriteTimeout, o.ReadTimeout = -1, dial, io, io+extraRead
		o.ContextTimeoutEnabled, o.Protocol = true, respVersion
		return redis.NewClusterClient(o), nil
	case strings.HasSuffix(kind, "+sentinel"):
		o, err := redis.ParseFailoverURL(strings.TrimSuffix(kind, "+sentinel") + "://" + rest)
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL: %w", err)
		}
		o.MaxRetries, o.DialTimeout, o.WriteTimeout, o.ReadTimeout = -1, dial, io, io+extraRead
		o.ContextTimeoutEnabled, o.Protocol = true, respVersion
		return redis.NewFailoverClient(o), nil
	default:
		o, err := redis.ParseURL(url)
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL: %w", err)
		}
		o.MaxRetries, o.DialTimeout, o.WriteTimeout, o.ReadTimeout = -1, dial, io, io+extraRead
		o.ContextTimeoutEnabled, o.Protocol = true, respVersion
		return redis.NewClient(o), nil
	}
}

// follow has the clients ask a cluster anew who its masters are. By themselves they
// would go on with a dead one for up to a minute after its replica took over.
func (b *Bus) follow(ctx context.Context) {
	for _, c := range []redis.UniversalClient{b.rdb, b.reader} {
		if cluster, ok := c.(*redis.ClusterClient); ok {
			cluster.ReloadState(ctx)
		}
	}
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Close publishes what is still queued, then closes the connections. Consumers
// must have returned before.
func (b *Bus) Close() error {
	var err error
	b.closeOnce.Do(func() {
		for _, p := range b.publishers {
			p.close()
		}
		err = b.reader.Close()
		if e := b.rdb.Close(); err == nil {
			err = e
		}
	})
	return err
}

// Ping asks Redis for a sign of life: a readiness check.
func (b *Bus) Ping(ctx context.Context) error { return b.rdb.Ping(ctx).Err() }

// Client is the Bus's connection for keys of a service's own. It does not retry
// by itself and belongs to the Bus.
func (b *Bus) Client() redis.UniversalClient { return b.rdb }

// Names spells the keys.
func (b *Bus) Names() events.Naming { return b.names }

// Member is this process's name in its groups.
func (b *Bus) Member() string { return b.cfg.Member }
