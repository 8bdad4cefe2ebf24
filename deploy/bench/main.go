package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"time"

	"agentbus/deploy/bench/contender"
	"agentbus/deploy/bench/stack"
	"agentbus/deploy/bench/workload"
	"agentbus/pkg/devserver"
)

func main() {
	name, rate, batch, d := os.Args[1], 0, 1, 4*time.Second
	if len(os.Args) > 2 {
		rate, _ = strconv.Atoi(os.Args[2])
	}
	if len(os.Args) > 3 {
		batch, _ = strconv.Atoi(os.Args[3])
	}
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "bench")
	defer os.RemoveAll(dir)
	srv, err := devserver.StartRedis(ctx, devserver.RedisOptions{Dir: dir})
	if err != nil {
		panic(err)
	}
	if f := os.Getenv("PROFILE"); f != "" {
		w, _ := os.Create(f)
		pprof.StartCPUProfile(w)
	}
	if name == "stack" {
		st, err := stack.Start(ctx, dir, "bin", srv)
		if err != nil {
			panic(err)
		}
		st.Profiles = os.Getenv("PROFILES")
		r, err := st.Run(ctx, workload.Load{Rate: rate, Batch: batch, For: d, WarmUp: time.Second})
		raw, _ := json.MarshalIndent(r, "", " ")
		fmt.Println(string(raw), err)
		fmt.Println(st.Close(), srv.Stop(ctx))
		return
	}
	var c contender.Contender
	r, err := workload.Run(ctx, workload.Load{Rate: rate, Batch: batch, For: d, WarmUp: time.Second}, contender.Groups(4), srv.PID(), func(t *workload.Tracker) (workload.Target, error) {
		s := contender.Setup{URL: srv.URL, Groups: 4, Handled: t.Handled}
		var err error
		switch name {
		case "bus":
			c, err = contender.Agentbus(ctx, s, contender.BusOptions{})
		case "bare":
			c, err = contender.Bare(ctx, s, contender.BareOptions{})
		case "naive":
			c, err = contender.Naive(ctx, s)
		case "mill":
			c, err = contender.Watermill(ctx, s)
		}
		return c, err
	})
	if err != nil {
		fmt.Println(err)
	}
	pprof.StopCPUProfile()
	out, _ := exec.Command("redis-cli", "-u", srv.URL, "info", "commandstats").Output()
	if os.Getenv("STATS") != "" {
		fmt.Println(string(out))
	}
	raw, _ := json.Marshal(r)
	fmt.Println(name, string(raw))
	c.Close()
	srv.Stop(ctx)
}
