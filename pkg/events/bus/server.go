package bus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"agentbus/pkg/events/bus/internal/wire"
)

// minVersion is the first Redis whose XAUTOCLAIM and XCLAIM drop entries that
// were trimmed, and whose group lag survives a trim at the tail.
var minVersion = [3]int{7, 0, 5}

// serverCheck asks a server whether it can keep the bus's promises.
type serverCheck struct {
	conn           *wire.Conn
	strictest      durability // class that some type has
	requireDurable bool
}

// await waits until Redis answers, then checks it.
func (c serverCheck) await(ctx context.Context) error {
	told := false
	for attempt := 1; ; attempt++ {
		err := c.once(ctx)
		if err == nil || !wire.Transient(err) {
			return err
		}
		if !told {
			c.conn.Log.Warn().Err(err).Msg("waiting for Redis")
			told = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("redis at REDIS_URL does not answer: %w", err)
		case <-time.After(wire.Backoff(attempt, 50*time.Millisecond, time.Second, wire.Jitter)):
		}
	}
}

// once refuses a server that is too old, and one that may forget or evict when the
// configuration asks for durability; else it warns.
func (c serverCheck) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	info, err := c.conn.Redis.Info(ctx).Result()
	if err != nil {
		return err
	}
	if infoField(info, "loading") == "1" {
		return fmt.Errorf("%w: still loading its data", errLoading)
	}
	version := infoField(info, "redis_version")
	if !atLeast(version, minVersion) {
		return fmt.Errorf("%w: it is version %s; at least %d.%d.%d is needed", ErrServer, version, minVersion[0], minVersion[1], minVersion[2])
	}
	if c.strictest == fsync {
		if why := c.whyNoFsync(ctx, info, version); why != "" {
			return fmt.Errorf("%w: BUS_DURABILITY asks for fsync, which %s", ErrServer, why)
		}
	}
	var faults []string
	if infoField(info, "aof_enabled") != "1" {
		faults = append(faults, "AOF is off, a restart loses events: set appendonly yes")
	}
	if p := infoField(info, "maxmemory_policy"); p != "noeviction" {
		faults = append(faults, "maxmemory-policy is "+p+", events may be evicted: set noeviction")
	}
	if len(faults) == 0 {
		return nil
	}
	if c.requireDurable {
		return fmt.Errorf("%w: %s", ErrServer, strings.Join(faults, "; "))
	}
	c.conn.Log.Warn().Strs("faults", faults).Msg("this Redis can lose events; BUS_REQUIRE_DURABLE=true would refuse it")
	return nil
}

// whyNoFsync says why no publish of the class fsync would ever be confirmed; empty
// when it would.
func (c serverCheck) whyNoFsync(ctx context.Context, info, version string) string {
	if !atLeast(version, [3]int{7, 2, 0}) {
		return fmt.Sprintf("needs WAITAOF of Redis 7.2; it is version %s: use replica, or appendfsync always", version)
	}
	if infoField(info, "aof_enabled") != "1" {
		return "needs the AOF, which is off: set appendonly yes"
	}
	// Where CONFIG is forbidden nothing is known, and the first publish tells.
	if c.conn.Redis.ConfigGet(ctx, "appendfsync").Val()["appendfsync"] == "no" {
		return "needs Redis to sync its AOF: set appendfsync always or everysec, it is no"
	}
	return ""
}

// loadingError makes "still loading" a transient error.
type loadingError struct{}

func (loadingError) Error() string   { return "redis is starting" }
func (loadingError) Timeout() bool   { return true }
func (loadingError) Temporary() bool { return true }

var errLoading = loadingError{}

func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func atLeast(version string, want [3]int) bool {
	var have [3]int
	_, _ = fmt.Sscanf(version, "%d.%d.%d", &have[0], &have[1], &have[2])
	for i := range have {
		if have[i] != want[i] {
			return have[i] > want[i]
		}
	}
	return true
}
