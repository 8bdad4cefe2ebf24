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
	EventsPerEntry int           `envconfig:"BUS_EVENTS_PER_ENTRY" default:"32" desc:"most events of one type, published at the same time, that share an entry of their stream; 1: each has its own, for readers that know no other"`
	Retention      time.Duration `envconfig:"BUS_RETENTION" default:"1h" desc:"how long an entry is kept after every group acknowledged it"`
	MaxEntries     int64         `envconfig:"BUS_MAX_ENTRIES" default:"1000000" desc:"hard cap of entries in one stream; what it drops unacknowledged is counted and alarmed"`
	RequireDurable bool          `envconfig:"BUS_REQUIRE_DURABLE" default:"false" desc:"refuse a Redis without AOF or with an eviction policy, instead of warning"`

	Durability   string `envconfig:"BUS_DURABILITY" default:"async" desc:"what must have happened before a publish returns: async, replica (WAIT) or fsync (WAITAOF, Redis 7.2), for all or by type: async,workflow.*=replica"`
	WaitReplicas int    `envconfig:"BUS_WAIT_REPLICAS" default:"1" desc:"how many replicas the class replica waits for"`

	Log     zerolog.Logger        `ignored:"true"`
	Metrics prometheus.Registerer `ignored:"true"` // nil: none
}

const (
	// seqTTL is how long a workflow's counter outlives its latest event at least. Long: a
	// counter that is gone would start at 1 again.
	seqTTL = 30 * 24 * time.Hour
	// publishPatience bounds the retries of one publish. Shorter than the dedup
	// window, so that a repeat is always recognised.
	publishPatience = 30 * time.Second
	// ackPatience bounds writing acknowledgements and dead letters once the
	// member is leaving.
	ackPatience = 5 * time.Second
	// blockTime is how long a read waits for entries. Short: a blocked read does
	// not notice a cancelled context.
	blockTime = 200 * time.Millisecond
	// fullRead entries of one read, and the next one does not wait for [Subscription.Gather]:
	// below, what a read of all streams costs Redis is more than what its entries do.
	fullRead = 64
	// deadLooks looks at a lease that stands still make its member dead.
	deadLooks = 3
)

// rhythm is how often the background duties run; tests quicken it.
type rhythm struct {
	beat time.Duration // a member raises its counter
	look time.Duration // and looks at the others': dead after 15 to 20 s, moved within 30 s
	tidy time.Duration // the holder of the lease trims
}

var defaultRhythm = rhythm{beat: 3 * time.Second, look: 5 * time.Second, tidy: 15 * time.Second}

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
		c.EventsPerEntry = 32
	}
	if c.Retention == 0 {
		c.Retention = time.Hour
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
	case c.EventsPerEntry < 1 || c.EventsPerEntry > maxBatch:
		return fmt.Errorf("BUS_EVENTS_PER_ENTRY: is %d; 1 to %d", c.EventsPerEntry, maxBatch)
	case c.Retention < 0:
		return fmt.Errorf("BUS_RETENTION: is %v; not negative", c.Retention)
	case c.WaitReplicas < 0:
		return fmt.Errorf("BUS_WAIT_REPLICAS: is %d; at least 1", c.WaitReplicas)
	case c.MaxEntries < 1000:
		return fmt.Errorf("BUS_MAX_ENTRIES: is %d; at least 1000", c.MaxEntries)
	}
	return nil
}

func (c Config) naming() events.Naming {
	return events.Naming{Prefix: c.Prefix, Partitions: c.Partitions}
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
