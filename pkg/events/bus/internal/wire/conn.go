package wire

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"agentbus/pkg/events"
)

// Conn is one process's connection to Redis, with what all parts of the bus must
// know alike. Its methods may be called from any goroutine.
type Conn struct {
	// Redis serves scripts and plain calls. Neither client retries by itself: a
	// lost reply must be repeated with the same event id, not blindly.
	Redis redis.UniversalClient
	// Blocking serves blocking reads, which would starve a shared pool.
	Blocking redis.UniversalClient

	Names     events.Naming
	Member    string // this process's name in its groups
	Log       zerolog.Logger
	Metrics   prometheus.Registerer // nil: none
	Intervals Intervals

	DedupWindow time.Duration                   // how long an event id is remembered at least
	Retention   func(events.Type) time.Duration // how long an acknowledged entry is kept
	MaxEntries  int64                           // hard cap of entries in one stream

	groups sync.Map // that this process is a member of
}

// Enter takes note that this process is a member of a group until leave is called; false
// when it is one already: two under one name would take the lease from each other for ever.
func (c *Conn) Enter(group string) (leave func(), ok bool) {
	if _, there := c.groups.LoadOrStore(group, struct{}{}); there {
		return nil, false
	}
	return func() { c.groups.Delete(group) }, true
}

const (
	// counterLife is how long a workflow's counter outlives its latest event at
	// least. Long: a counter that is gone would start at 1 again.
	counterLife = 30 * 24 * time.Hour
	// BlockTime is how long a read waits for entries. Short: a blocked read does
	// not notice a cancelled context.
	BlockTime = 200 * time.Millisecond
	// WriteTimeout bounds writing acknowledgements, attempts and dead letters, also
	// once a member is leaving.
	WriteTimeout = 5 * time.Second
	// MaxBatch bounds the events of one script call: about 1 ms of the server's time.
	MaxBatch = 256
)

// Intervals is how often the background duties run; tests shorten them.
type Intervals struct {
	Heartbeat time.Duration // a member raises its lease
	Check     time.Duration // and looks at the others': dead after 15 to 20 s, moved within 30 s
	Trim      time.Duration // the holder of the lease for housekeeping trims
}

// DefaultIntervals is what the guarantees of the README count with.
var DefaultIntervals = Intervals{Heartbeat: 3 * time.Second, Check: 5 * time.Second, Trim: 15 * time.Second}

// DeadChecks checks of a lease that stands still make its member dead.
const DeadChecks = 3

// DeadAfter is how long a lease stands still before others take the member's
// entries over: 15 s.
func (i Intervals) DeadAfter() time.Duration { return DeadChecks * i.Check }

// SuspectAfter is how long a lease may stand still before its member is suspected:
// two heartbeats missed, and a second for a slow machine. 7 s.
func (i Intervals) SuspectAfter() time.Duration { return 2*i.Heartbeat + time.Second }

// respVersion: the newer protocol has the client look for pushed messages before
// each reply, and gives the bus nothing.
const respVersion = 2

// Dial makes the clients; it does not wait for the server. The error names REDIS_URL.
func Dial(url string) (*Conn, error) {
	rdb, err := newClient(url, 0)
	if err != nil {
		return nil, err
	}
	blocking, err := newClient(url, BlockTime)
	if err != nil {
		return nil, err
	}
	// The client would print lines of its own when Redis is away; what matters of
	// that is told in the process's log. Its logger can be set for all only.
	redis.SetLogger(silent{})
	return &Conn{Redis: rdb, Blocking: blocking, Intervals: DefaultIntervals}, nil
}

// newClient reads the URL; extraRead is added to the read time-out for calls
// that block in the server.
func newClient(url string, extraRead time.Duration) (redis.UniversalClient, error) {
	const dial, io = 2 * time.Second, 5 * time.Second
	fail := func(err error) (redis.UniversalClient, error) { return nil, fmt.Errorf("REDIS_URL: %w", err) }
	switch kind, rest, _ := strings.Cut(url, "://"); {
	case strings.HasSuffix(kind, "+cluster"):
		o, err := redis.ParseClusterURL(strings.TrimSuffix(kind, "+cluster") + "://" + rest)
		if err != nil {
			return fail(err)
		}
		o.MaxRetries, o.DialTimeout, o.WriteTimeout, o.ReadTimeout = -1, dial, io, io+extraRead
		o.ContextTimeoutEnabled, o.Protocol = true, respVersion
		return redis.NewClusterClient(o), nil
	case strings.HasSuffix(kind, "+sentinel"):
		o, err := redis.ParseFailoverURL(strings.TrimSuffix(kind, "+sentinel") + "://" + rest)
		if err != nil {
			return fail(err)
		}
		o.MaxRetries, o.DialTimeout, o.WriteTimeout, o.ReadTimeout = -1, dial, io, io+extraRead
		o.ContextTimeoutEnabled, o.Protocol = true, respVersion
		return redis.NewFailoverClient(o), nil
	default:
		o, err := redis.ParseURL(url)
		if err != nil {
			return fail(err)
		}
		o.MaxRetries, o.DialTimeout, o.WriteTimeout, o.ReadTimeout = -1, dial, io, io+extraRead
		o.ContextTimeoutEnabled, o.Protocol = true, respVersion
		return redis.NewClient(o), nil
	}
}

// Follow has the clients ask a cluster anew who its masters are. By themselves they
// would go on with a dead one for up to a minute after its replica took over.
func (c *Conn) Follow(ctx context.Context) {
	for _, client := range []redis.UniversalClient{c.Redis, c.Blocking} {
		if cluster, ok := client.(*redis.ClusterClient); ok {
			cluster.ReloadState(ctx)
		}
	}
}

// Node is the client of the server that holds the key.
func (c *Conn) Node(ctx context.Context, key string) (*redis.Client, error) {
	switch client := c.Redis.(type) {
	case *redis.ClusterClient:
		return client.MasterForKey(ctx, key)
	case *redis.Client:
		return client, nil
	}
	return nil, fmt.Errorf("bus: durability is not supported by %T", c.Redis)
}

// Close closes both clients.
func (c *Conn) Close() error {
	err := c.Blocking.Close()
	if e := c.Redis.Close(); err == nil {
		err = e
	}
	return err
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
