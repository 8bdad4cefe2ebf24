package main

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// TestLongestScript: of two slow scripts the slower one counts, and no slow command of another kind.
func TestLongestScript(t *testing.T) {
	config := map[string]string{"enable-debug-command": "local"}
	for name, value := range slowlog {
		config[name] = value
	}
	srv := servertest.OwnRedis(t, devserver.RedisOptions{Config: config})
	if c, err := longestScript(t.Context(), srv.URL); err != nil || c != (scriptCall{}) {
		t.Errorf("%+v, %v before any script", c, err)
	}
	o, err := redis.ParseURL(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(o)
	defer func() { _ = rdb.Close() }()
	busy := redis.NewScript(`local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i end return n`)
	for keys, rounds := range map[string]int{"long": 20_000_000, "short": 1_000_000} {
		if err := busy.Run(t.Context(), rdb, []string{keys, "other"}, rounds).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := rdb.Do(t.Context(), "DEBUG", "POPULATE", 1_000_000, "key", 1).Err(); err != nil { // about a second
		t.Fatal(err)
	}
	c, err := longestScript(t.Context(), srv.URL)
	if err != nil || c.keys != "2 keys, the first long" || c.took < slowCall {
		t.Errorf("%+v, %v; want the long script", c, err)
	}
}
