package bus

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// Bus is one process's connection to the event backbone. Its methods may be
// called from any goroutine. Package consumer joins a group with it, package
// inspect looks at groups and dead letters.
type Bus struct {
	conn       *wire.Conn
	classes    durabilities
	admitter   *admitter
	publishers [fsync + 1]*publisher // by class: who wants no confirmation does not wait for others'
	closeOnce  sync.Once
}

// Open connects to Redis, checks that the server is fit (see [ErrServer]) and
// starts the publishers. It waits for a server that is still starting until ctx
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
	conn, err := cfg.dial()
	if err != nil {
		return nil, err
	}
	check := serverCheck{conn: conn, strictest: classes.strictest(), requireDurable: cfg.RequireDurable}
	if err := check.await(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	b := &Bus{conn: conn, classes: classes, admitter: newAdmitter(conn, classes, cfg.WaitReplicas, cfg.layout(conn.Names))}
	for class := range b.publishers {
		b.publishers[class] = startPublisher(b.admitter, durability(class))
	}
	return b, nil
}

// Close publishes what is still queued, then closes the connections. Consumers
// must have returned before.
func (b *Bus) Close() error {
	var err error
	b.closeOnce.Do(func() {
		for _, p := range b.publishers {
			p.close()
		}
		err = b.conn.Close()
	})
	return err
}

// Ping asks Redis for a sign of life: a readiness check.
func (b *Bus) Ping(ctx context.Context) error { return b.conn.Redis.Ping(ctx).Err() }

// Client is the Bus's connection for keys of a service's own. It does not retry
// by itself and belongs to the Bus.
func (b *Bus) Client() redis.UniversalClient { return b.conn.Redis }

// Names spells the keys.
func (b *Bus) Names() events.Naming { return b.conn.Names }

// Member is this process's name in its groups.
func (b *Bus) Member() string { return b.conn.Member }

// Wire is the connection as the bus's other packages use it.
func (b *Bus) Wire() *wire.Conn { return b.conn }
