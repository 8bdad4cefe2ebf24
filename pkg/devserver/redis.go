package devserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// RedisOptions configures StartRedis.
type RedisOptions struct {
	Dir    string            // data, configuration and lock; created where missing; required
	Port   int               // 0: a free one
	Config map[string]string // redis.conf directives, over the package's own
	Log    io.Writer         // the server's output; nil: dropped
	Env    []string          // NAME=value, added to this process's environment
	New    bool              // Redis 7.2 or newer, for WAITAOF: see the package comment
}

// StartRedis starts a Redis that loses nothing it need not: append-only file synced each second,
// snapshots, no eviction. It returns when the server answers PING, so after it has loaded its data. ctx
// bounds the start only.
func StartRedis(ctx context.Context, o RedisOptions) (*Server, error) {
	find := findRedis
	if o.New {
		find = findNewRedis
	}
	binary, err := find(redisPlaces())
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("directory for Redis: %w", err)
	}
	return onPort(o.Port, func(port int) (*Server, error) {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		start := func(ctx context.Context) (*process, error) {
			lock, err := lockDir(ctx, dir)
			if err != nil {
				return nil, err
			}
			file := filepath.Join(dir, "redis.conf")
			if err := os.WriteFile(file, redisConfig(dir, port, o.Config), 0o600); err != nil {
				return nil, closeAfter(lock, err)
			}
			// Deliberately not CommandContext: ctx bounds the start, not the life.
			cmd := exec.Command(binary, file)
			cmd.Env = append(os.Environ(), o.Env...)
			proc, err := spawn(cmd, nil, lock, syscall.SIGTERM, o.Log)
			if err != nil {
				return nil, err
			}
			return proc, proc.ready(ctx, func(ctx context.Context) error { return pingRedis(ctx, addr) })
		}
		return newServer(ctx, &Server{URL: "redis://" + addr, Dir: dir, Port: port, stopSignal: syscall.SIGTERM, start: start})
	})
}

// redisConfig renders redis.conf: the package's directives, overridden by the caller's.
func redisConfig(dir string, port int, extra map[string]string) []byte {
	directives := map[string]string{
		"bind":        "127.0.0.1",
		"port":        strconv.Itoa(port),
		"dir":         strconv.Quote(dir),
		"daemonize":   "no",
		"appendonly":  "yes",
		"appendfsync": "everysec",
		// The AOF has everything; snapshots beside it would be one more fork a minute.
		"save": "",
		// The default of 64mb is passed every few seconds by a busy bus, and each rewrite is a fork that costs
		// as much as a second of work. A start reads 256 MB in about two seconds. Compressing what is rewritten
		// took a tenth of the time that Redis has.
		"auto-aof-rewrite-min-size": "256mb",
		"rdbcompression":            "no",
		"maxmemory-policy":          "noeviction",
		"tcp-backlog":               "128", // the default of 511 is above most systems' limit, which Redis warns of
	}
	maps.Copy(directives, extra)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(directives)) {
		value := directives[name]
		if value == "" {
			value = `""`
		}
		fmt.Fprintln(&b, name, value)
	}
	return []byte(b.String())
}

// pingRedis succeeds when the server answers and has loaded its data. The protocol is spoken by hand:
// a client library would be a dependency for one line.
func pingRedis(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	reply, err := bufio.NewReader(conn).ReadString('\n')
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(reply, "-LOADING"):
		return errors.New(strings.TrimSpace(reply))
	}
	return nil // +PONG, or -NOAUTH where the caller configured a password
}

// makeDir creates the directory and returns its absolute path.
func makeDir(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("option Dir must be set")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return abs, os.MkdirAll(abs, 0o755)
}
