package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// slowCall is how long a call takes that Redis remembers: while a script runs, nobody else is served.
const slowCall = 2 * time.Millisecond

var slowlog = map[string]string{
	"slowlog-log-slower-than": strconv.FormatInt(slowCall.Microseconds(), 10),
	"slowlog-max-len":         "10000", // 4 KiB each at most
}

// scriptCall is one call of a script.
type scriptCall struct {
	took time.Duration // by the clock on the wall, as Redis counts
	keys string        // how many, and the first
}

func (c scriptCall) String() string {
	if c.took == 0 {
		return fmt.Sprintf("No call of a script held Redis for %v.", slowCall)
	}
	return fmt.Sprintf("The longest call of a script held Redis for %.1f ms (%s).", float64(c.took.Microseconds())/1000, c.keys)
}

// longestScript is the longest call that the server remembers, the zero value where all were short.
func longestScript(ctx context.Context, url string) (longest scriptCall, err error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return longest, err
	}
	rdb := redis.NewClient(o)
	defer func() { err = errors.Join(err, rdb.Close()) }()
	calls, err := rdb.SlowLogGet(ctx, -1).Result()
	for _, c := range calls {
		// EVALSHA sha 2 key key argument ...
		if len(c.Args) > 3 && strings.HasPrefix(strings.ToLower(c.Args[0]), "eval") && c.Duration > longest.took {
			longest = scriptCall{c.Duration, c.Args[2] + " keys, the first " + c.Args[3]}
		}
	}
	return longest, err
}
