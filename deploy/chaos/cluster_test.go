package chaos

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/deploy/agentctl/ledger"
	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
)

// clusterPartitions spread over the three masters.
const clusterPartitions = 6

// cluster is three masters with a replica each.
type cluster struct {
	url   string // for REDIS_URL
	nodes []*devserver.Server
	rdb   *redis.ClusterClient
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{}
	var addrs []string
	for range 6 {
		n := servertest.OwnRedis(t, devserver.RedisOptions{Config: map[string]string{
			"cluster-enabled": "yes", "cluster-node-timeout": "2000", "save": "", "repl-diskless-sync-delay": "0", "shutdown-timeout": "0",
			"cluster-port": strconv.Itoa(busPort(t)),
		}})
		c.nodes = append(c.nodes, n)
		addrs = append(addrs, "127.0.0.1:"+strconv.Itoa(n.Port))
	}
	args := append([]string{"--cluster", "create"}, addrs...)
	out, err := exec.CommandContext(t.Context(), "redis-cli", append(args, "--cluster-replicas", "1", "--cluster-yes")...).CombinedOutput()
	if err != nil {
		t.Fatalf("make the cluster: %v\n%s", err, out)
	}
	c.url = "redis+cluster://" + addrs[0] + "?addr=" + strings.Join(addrs[1:], "&addr=")
	c.rdb = redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { _ = c.rdb.Close() })
	servertest.Eventually(t, 30*time.Second, func() error {
		for _, n := range c.nodes {
			info, err := client(t, n.URL).Info(t.Context(), "replication").Result()
			if err != nil {
				return err
			}
			if strings.Contains(info, "role:slave") && !strings.Contains(info, "master_link_status:up") {
				return fmt.Errorf("replica on port %d is not in step yet", n.Port)
			}
		}
		state, err := c.rdb.ClusterInfo(t.Context()).Result()
		if err != nil || !strings.Contains(state, "cluster_state:ok") {
			return fmt.Errorf("the cluster is not ready: %s, %w", state, err)
		}
		return nil
	})
	return c
}

// busPort is a free port for the nodes' own talk; by default they would take their
// port plus 10000, out of the range servers' ports come from.
func busPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// clustered is two groups of two members on a cluster, and a load.
type clustered struct {
	*cluster
	l        *ledger.Ledger
	producer *bus.Bus
	load     *load
	logs     *logbook
}

func startClustered(t *testing.T, durability string) *clustered {
	t.Helper()
	c := &clustered{cluster: startCluster(t), l: ledger.New(bothGroups...), logs: &logbook{}}
	cfg := bus.Config{URL: c.url, Partitions: clusterPartitions, Durability: durability}
	for _, group := range bothGroups {
		s := &sink{l: c.l, group: group, once: true}
		for range 2 {
			consume(t, open(t, cfg, c.logs), consumer.Subscription{Group: group, Handle: s.handle})
		}
	}
	c.producer = open(t, cfg, c.logs)
	c.load = startLoad(t, c.l, c.producer, 200)
	servertest.Eventually(t, 30*time.Second, c.load.reaches(300))
	return c
}

// master is the server of a master that holds a partition.
func (c *cluster) master(t *testing.T, partition int) *devserver.Server {
	t.Helper()
	key := events.Naming{Partitions: clusterPartitions}.Groups(partition)
	m, err := c.rdb.MasterForKey(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.nodes, func(n *devserver.Server) bool { return strings.HasSuffix(m.Options().Addr, fmt.Sprint(":", n.Port)) })
	if i < 0 {
		t.Fatalf("no node at %s", m.Options().Addr)
	}
	return c.nodes[i]
}

// TestClusterMigratesSlots: the slots of partitions move from master to master
// under load, key by key.
func TestClusterMigratesSlots(t *testing.T) {
	t.Parallel()
	c := startClustered(t, "async")
	moves := rounds(2, clusterPartitions)
	for p := range moves {
		c.migrate(t, p)
		servertest.Eventually(t, 30*time.Second, c.load.reaches(c.load.sent.Load()+100))
	}
	since := time.Now()
	c.load.stop()
	recovery := recovered(t, since, claimTime+10*time.Second, c.producer, bothGroups...)
	if n := c.logs.count(); n > moves*60 {
		t.Errorf("%d log lines over %d moves:\n%s", n, moves, c.logs)
	}
	balanced(t, "cluster: a slot migrates", moves, c.l, recovery)
}

// migrate moves a partition's slot to another master, as redis-cli --cluster does.
func (c *clustered) migrate(t *testing.T, partition int) {
	t.Helper()
	ctx := t.Context()
	key := c.producer.Names().Groups(partition)
	slot := int(c.rdb.ClusterKeySlot(ctx, key).Val())
	from := c.master(t, partition)
	var to *devserver.Server
	for p := range clusterPartitions {
		if m := c.master(t, p); m != from {
			to = m
		}
	}
	if to == nil {
		t.Fatal("all partitions are on one master")
	}
	src, dst := client(t, from.URL), client(t, to.URL)
	id := func(r *redis.Client) string {
		v, err := r.Do(ctx, "CLUSTER", "MYID").Text()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(dst.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", id(src)).Err())
	must(src.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", id(dst)).Err())
	for {
		keys, err := src.ClusterGetKeysInSlot(ctx, slot, 10).Result()
		must(err)
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", "127.0.0.1", to.Port, "", 0, 5000, "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		must(src.Do(ctx, args...).Err())
	}
	for _, n := range []*redis.Client{dst, src} {
		must(n.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", id(dst)).Err())
	}
}

// TestClusterMasterKilled: a master dies under load and its replica takes over.
// Of class replica nothing acknowledged is lost; of class async what the master
// had not passed on may be.
func TestClusterMasterKilled(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"async", "replica"} {
		t.Run(class, func(t *testing.T) {
			if class == "async" {
				long(t)
			}
			t.Parallel()
			c := startClustered(t, class)
			victim := c.master(t, 0)
			killed := time.Now()
			victim.Kill()
			servertest.Eventually(t, 40*time.Second, func() error {
				return c.takenOver(t, victim, 0)
			})
			if class == "replica" { // the new master has no replica to wait for until the old one is back
				if err := victim.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 4 * clusterPartitions { // of each partition, so also of the dead master's
				if _, err := c.l.Publish(t.Context(), c.producer, event(t, fmt.Sprint("after-", i), i)); err != nil {
					t.Fatal(err)
				}
			}
			took := time.Since(killed)
			c.load.stop()
			recovered(t, time.Now(), claimTime+20*time.Second, c.producer, bothGroups...)
			if n := c.logs.count(); n > 200 {
				t.Errorf("%d log lines:\n%.5000s", n, c.logs)
			}
			r := c.l.Report()
			report(t, "cluster: a master is killed, class "+class, 1, r, took)
			for _, g := range r.Groups {
				if len(g.Lost) > 0 && (class == "replica" || !c.load.ackedWithin(time.Second, []time.Time{killed}, g.Lost)) {
					t.Errorf("%s: lost %d acknowledged events", g.Group, len(g.Lost))
				}
				if len(g.Duplicated)+len(g.Unexpected) > 0 {
					t.Error(r.Err())
				}
			}
		})
	}
}

// takenOver wants another node than the victim to be the master of a partition.
func (c *cluster) takenOver(t *testing.T, victim *devserver.Server, partition int) error {
	c.rdb.ReloadState(t.Context())
	m, err := c.rdb.MasterForKey(t.Context(), events.Naming{Partitions: clusterPartitions}.Groups(partition))
	if err != nil {
		return err
	}
	if strings.HasSuffix(m.Options().Addr, fmt.Sprint(":", victim.Port)) {
		return fmt.Errorf("the dead %s is still the master", m.Options().Addr)
	}
	return nil
}
