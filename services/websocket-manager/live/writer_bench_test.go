package live

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// BenchmarkHandle writes batches as they come under load: 500 events of all types, about 350 bytes each,
// of 1,000 workflows that have all been seen before. Per event it reports, besides the time: redis-ns, what
// the Redis server's one thread worked for it, and go-ns, what this process did.
func BenchmarkHandle(b *testing.B) {
	for _, share := range []int{1, 3} { // events of a workflow in one batch, about
		b.Run(fmt.Sprintf("share=%d", share), func(b *testing.B) {
			rdb := redis.NewClient(redisOptions(b, servertest.OwnRedis(b, devserver.RedisOptions{Config: map[string]string{"save": "", "auto-aof-rewrite-percentage": "0"}}).URL))
			defer func() { _ = rdb.Close() }()
			w := NewWriter(rdb, events.Naming{}, Limits{}, nil)
			next := load(1000, share)
			handle := func(batch []consumer.Message) {
				for _, err := range w.Handle(b.Context(), batch) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			for range 50 {
				handle(next(500))
			}
			var redisTime, goTime time.Duration
			b.ReportAllocs()
			for left := b.N; left > 0; left -= 500 {
				b.StopTimer()
				batch := next(min(left, 500))
				fromRedis, fromGo := redisCPU(b, rdb), goCPU(b)
				b.StartTimer()
				handle(batch)
				b.StopTimer()
				goTime += goCPU(b) - fromGo
				redisTime += redisCPU(b, rdb) - fromRedis
				b.StartTimer()
			}
			b.ReportMetric(float64(redisTime.Nanoseconds())/float64(b.N), "redis-ns/op")
			b.ReportMetric(float64(goTime.Nanoseconds())/float64(b.N), "go-ns/op")
		})
	}
}

// load makes batches of events, each of some of the workflows.
func load(workflows, share int) (next func(n int) []consumer.Message) {
	random := rand.New(rand.NewPCG(1, 1))
	seqs := make([]int64, workflows)
	made := 0
	catalogue := events.Catalogue()
	return func(n int) []consumer.Message {
		out := make([]consumer.Message, n)
		first, width := random.IntN(workflows), max(n/share, 1)
		for i := range out {
			of := (first + random.IntN(width)) % workflows
			spec := catalogue[random.IntN(len(catalogue))]
			seqs[of]++
			made++
			payload := spec.Example
			if spec.Type == events.WorkflowCreated {
				payload = &events.WorkflowCreatedData{Name: "a workflow of the benchmark, with a name that somebody might give", Stages: events.Stages()}
			}
			data, err := json.Marshal(payload)
			if err != nil {
				panic(err) // made of constants
			}
			out[i] = consumer.Message{Seq: seqs[of], Event: events.Event{
				ID: fmt.Sprintf("7d0f1c9e-0000-4000-8000-%012x", made), Type: spec.Type,
				WorkflowID: "bench-7d0f1c9e-" + strconv.Itoa(of), Timestamp: time.Now().UTC().Truncate(time.Microsecond),
				Data: data, SourceAgent: "bench", Metadata: map[string]string{events.MetadataTenant: "team-payments-europe"},
			}}
		}
		return out
	}
}

func redisOptions(b testing.TB, url string) *redis.Options {
	o, err := redis.ParseURL(url)
	if err != nil {
		b.Fatal(err)
	}
	return o
}

// redisCPU is what the server's main thread has worked so far.
func redisCPU(b *testing.B, rdb *redis.Client) (total time.Duration) {
	info, err := rdb.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); strings.HasSuffix(name, "_main_thread") {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			total += time.Duration(seconds * float64(time.Second))
		}
	}
	return total
}

// goCPU is what this process has worked so far.
func goCPU(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
