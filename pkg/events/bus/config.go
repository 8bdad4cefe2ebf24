package bus

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/internal/wire"
)

// Config says which Redis to use and how. The tags are for envconfig, so that a
// service embeds it in its own settings. The zero value of each field is its
// documented default.
type Config struct {
	URL string `envconfig:"REDIS_URL" secret:"true" default:"redis://127.0.0.1:6379/0" desc:"Redis server; redis+cluster://host:port?addr=host2:port for a cluster, redis+sentinel://host:port?master_name=NAME for Sentinel; rediss: with TLS"`

	Prefix         string        `envconfig:"BUS_PREFIX" desc:"put before every key, so that several systems share a Redis"`
	Partitions     int           `envconfig:"BUS_PARTITIONS" default:"0" desc:"partitions of every stream on a Redis Cluster, the same in all processes; 0: plain names"`
	Member         string        `envconfig:"BUS_MEMBER" desc:"this process's unique name in its groups; a fixed one lets it go on with its own entries at once after a restart; default: host name and a random part"`
	DedupWindow    time.Duration `envconfig:"BUS_DEDUP_WINDOW" default:"2m" desc:"how long an event id is remembered at least"`
	EventsPerEntry int           `envconfig:"BUS_EVENTS_PER_ENTRY" default:"1" desc:"most events of one type, published at the same time, that may share an entry of their stream; 1: each event has its own, as readers in other languages expect"`
	Retention      string        `envconfig:"BUS_RETENTION" default:"1h" desc:"how long an entry is kept at least, and on until every group acknowledged it; for all or by type: 1h,workflow.*=24h"`
	MaxEntries     int64         `envconfig:"BUS_MAX_ENTRIES" default:"1000000" desc:"hard cap of entries in one stream; what it drops unacknowledged is counted and alarmed"`
	RequireDurable bool          `envconfig:"BUS_REQUIRE_DURABLE" default:"false" desc:"refuse a Redis without AOF or with an eviction policy, instead of warning"`

	Durability   string `envconfig:"BUS_DURABILITY" default:"async" desc:"what must have happened before a publish returns: async, replica (WAIT) or fsync (WAITAOF, Redis 7.2), for all or by type: async,workflow.*=replica"`
	WaitReplicas int    `envconfig:"BUS_WAIT_REPLICAS" default:"1" desc:"how many replicas the class replica waits for"`

	Log     zerolog.Logger        `ignored:"true"`
	Metrics prometheus.Registerer `ignored:"true"` // nil: none
}

func (c Config) withDefaults() Config {
	if c.URL == "" {
		c.URL = "redis://127.0.0.1:6379/0"
	}
	if c.Member == "" {
		c.Member = randomMember()
	}
	if c.DedupWindow == 0 {
		c.DedupWindow = 2 * time.Minute
	}
	if c.EventsPerEntry == 0 {
		c.EventsPerEntry = 1
	}
	if c.Retention == "" {
		c.Retention = "1h"
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = 1_000_000
	}
	if c.WaitReplicas == 0 {
		c.WaitReplicas = 1
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.Partitions < 0 || c.Partitions > 1024:
		return fmt.Errorf("BUS_PARTITIONS: is %d; 0 to 1024", c.Partitions)
	case c.DedupWindow < 2*publishPatience:
		return fmt.Errorf("BUS_DEDUP_WINDOW: is %v; at least %v, twice the time a publisher keeps trying", c.DedupWindow, 2*publishPatience)
	case c.EventsPerEntry < 1 || c.EventsPerEntry > wire.MaxBatch:
		return fmt.Errorf("BUS_EVENTS_PER_ENTRY: is %d; 1 to %d", c.EventsPerEntry, wire.MaxBatch)
	case c.WaitReplicas < 0:
		return fmt.Errorf("BUS_WAIT_REPLICAS: is %d; at least 1", c.WaitReplicas)
	case c.MaxEntries < 1000:
		return fmt.Errorf("BUS_MAX_ENTRIES: is %d; at least 1000", c.MaxEntries)
	}
	return nil
}

// dial makes the connection that the configuration says.
func (c Config) dial() (*wire.Conn, error) {
	keep, err := retentions(c.Retention)
	if err != nil {
		return nil, err
	}
	conn, err := wire.Dial(c.URL)
	if err != nil {
		return nil, err
	}
	conn.Names = events.Naming{Prefix: c.Prefix, Partitions: c.Partitions}
	conn.Member, conn.Log, conn.Metrics = c.Member, c.Log, c.Metrics
	conn.DedupWindow, conn.Retention, conn.MaxEntries = c.DedupWindow, keep, c.MaxEntries
	return conn, nil
}

// layout is how events become entries.
func (c Config) layout(names events.Naming) layout {
	if c.EventsPerEntry > 1 {
		return entriesShared(names, c.EventsPerEntry)
	}
	return entryEach(names)
}

func randomMember() string {
	host, err := os.Hostname()
	if err != nil {
		host = "member"
	}
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return host + "-" + hex.EncodeToString(b[:])
}
