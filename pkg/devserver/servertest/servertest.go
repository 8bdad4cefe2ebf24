// Package servertest gives tests real Redis and PostgreSQL servers.
//
// A test process shares one of each, started when first asked for and stopped by Main; tests isolate
// themselves by a key prefix (Redis) or get a database of their own (PostgreSQL), so they can run in
// parallel. Tests that break, fill or configure a server take one of their own. A missing server
// program fails the test with the line that installs it; nothing is skipped.
//
//	func TestMain(m *testing.M) { servertest.Main(m) }
//
//	func TestStore(t *testing.T) {
//		db := servertest.Postgres(t)
//		...
//	}
package servertest

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/pkg/devserver"
)

// stopTimeout bounds the graceful end of a server; then it is killed.
const stopTimeout = 20 * time.Second

// Main runs a package's tests, stops the shared servers, removes what they wrote and exits. Call it
// from TestMain.
func Main(m *testing.M) {
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	if err := shared.open(); err != nil {
		fmt.Fprintln(os.Stderr, "servertest:", err)
		return 1
	}
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "servertest:", err)
		return max(code, 1)
	}
	return code
}

// Redis returns the URL of the server that all tests of the process share. Use Prefix for the keys, and
// never FLUSHDB.
func Redis(tb testing.TB) string {
	tb.Helper()
	s, err := shared.redisServer(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return s.URL
}

// OwnRedis starts a server for this test alone and stops it at the test's end. The zero options are
// fine; Dir defaults to a temporary folder. Kill and Restart it at will.
func OwnRedis(tb testing.TB, o devserver.RedisOptions) *devserver.Server {
	tb.Helper()
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	s, err := devserver.StartRedis(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stop(tb, s) })
	return s
}

// OwnPostgres starts a server for this test alone, with an empty database, and removes it at the test's
// end. It does sync its files, so that Kill proves something.
func OwnPostgres(tb testing.TB) *devserver.Server {
	tb.Helper()
	dir := tb.TempDir() + "/postgres"
	s, err := devserver.StartPostgres(tb.Context(), devserver.PostgresOptions{Dir: dir})
	tb.Cleanup(func() {
		if s != nil {
			stop(tb, s)
		}
		if err := devserver.RemovePostgres(dir); err != nil {
			tb.Error(err)
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func stop(tb testing.TB, s *devserver.Server) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		tb.Error(err)
	}
}

var prefixes atomic.Uint64

// Prefix returns a key prefix that no other call in this process returns, such as "t1f:".
func Prefix(testing.TB) string {
	return fmt.Sprintf("t%x:", prefixes.Add(1))
}

// Eventually calls check until it returns nil and fails the test with its last error when that takes
// longer than timeout. Call it from the test's own goroutine.
func Eventually(tb testing.TB, timeout time.Duration, check func() error) {
	tb.Helper()
	deadline := time.Now().Add(timeout)
	pause := 2 * time.Millisecond
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("still after %s: %v", timeout, err)
		}
		<-time.After(pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
}
