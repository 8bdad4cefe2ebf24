package live

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"agentbus/pkg/devserver"
	"agentbus/pkg/devserver/servertest"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// course is what a workflow tells from its beginning to its end, twice over the middle.
func course(t *testing.T, workflowID string) (batch []consumer.Message) {
	t.Helper()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, payload := range []events.Payload{
		&events.WorkflowCreatedData{Name: "a <b> & \"c\" \u2028 ü", Stages: events.Stages()},
		&events.WorkflowStartedData{Stage: events.Generation},
		&events.WorkflowProgressedData{Percent: 10, Stage: events.Generation, Attempt: 1, Message: "first"},
		nil,
		&events.WorkflowProgressedData{Percent: 40, Stage: events.Audit, Attempt: 2, Message: "second\nline"},
		nil,
		&events.WorkflowFailedData{Stage: events.Audit, Code: "findings", Reason: "one", DurationMS: 77},
		nil,
	} {
		types := []events.Type{events.WorkflowCreated, events.WorkflowStarted, events.WorkflowProgressed, events.Audit.Started(),
			events.WorkflowProgressed, events.Audit.Failed(), events.WorkflowFailed, events.A2ARequest}
		data, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		if payload == nil {
			data = json.RawMessage(`{}`)
		}
		e := events.Event{ID: fmt.Sprint(i), Type: types[i], WorkflowID: workflowID, Timestamp: start.Add(time.Duration(i) * time.Second), Data: data}
		if i < 5 { // the later ones do not say whose it is
			e.Metadata = map[string]string{events.MetadataTenant: "blue"}
		}
		batch = append(batch, consumer.Message{Event: e, Seq: int64(i + 1)})
	}
	return batch
}

const courseRow = `{"attempt":2,"audit":"failed","code":"findings","created_at":"2026-01-02T03:04:05Z","duration_ms":77,` +
	`"finished_at":"2026-01-02T03:04:11Z","message":"second\nline","name":"a \u003cb\u003e \u0026 \"c\" \u2028 ü","percent":40,"reason":"one",` +
	`"seq":8,"stage":"audit","started_at":"2026-01-02T03:04:06Z","state":"failed","tenant":"blue","updated_at":"2026-01-02T03:04:12Z","workflow_id":"wf"}`

// TestRowWhateverTheOrder writes the events in random order, cut into batches at random, some of them
// twice: the row is always the same, and so is the log.
func TestRowWhateverTheOrder(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(redisOptions(t, servertest.OwnRedis(t, devserver.RedisOptions{}).URL))
	defer func() { _ = rdb.Close() }()
	for seed := range uint64(100) {
		names := events.Naming{Prefix: fmt.Sprintf("t%d:", seed), Partitions: int(seed % 3)}
		w := NewWriter(rdb, names, Limits{TTL: time.Hour}, nil)
		random := rand.New(rand.NewPCG(seed, 1))
		all := course(t, "wf")
		left := append(all, all[random.IntN(len(all))], all[random.IntN(len(all))])
		if seed > 0 {
			random.Shuffle(len(left), func(a, b int) { left[a], left[b] = left[b], left[a] })
		}
		write := func(batch []consumer.Message) {
			for _, err := range w.Handle(t.Context(), batch) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		for len(left) > 0 {
			n := 1 + random.IntN(len(left))
			write(left[:n])
			left = left[n:]
		}
		s := &store{rdb: rdb, names: names, limits: w.limits}
		check := func() map[string]string {
			t.Helper()
			rows, err := s.rows(t.Context(), []string{"wf", "unknown"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(courseRow, string(rows["wf"])); diff != "" || len(rows) != 1 {
				t.Fatalf("seed %d: %s", seed, diff)
			}
			page, _, err := s.page(t.Context(), "wf", 0, 0)
			if err != nil || told(page) != "1 2 3 4 5 6 7 8" {
				t.Fatalf("seed %d: the log is %s: %v", seed, told(page), err)
			}
			for _, key := range []string{names.LiveLog("wf"), names.LiveRow("wf")} {
				if life, err := rdb.PTTL(t.Context(), key).Result(); err != nil || life < time.Hour-time.Minute || life > time.Hour+2*time.Minute {
					t.Errorf("seed %d: %s lives %s, %v; want about an hour", seed, key, life, err)
				}
			}
			return rdb.HGetAll(t.Context(), names.LiveRow("wf")).Val()
		}
		before := check()
		write(all)
		if diff := cmp.Diff(before, check()); diff != "" {
			t.Errorf("seed %d: written again: %s", seed, diff)
		}
	}
}

// TestLivesAreRenewed before they are shorter than the limit says, whatever they were set to by whom.
func TestLivesAreRenewed(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(redisOptions(t, servertest.OwnRedis(t, devserver.RedisOptions{}).URL))
	defer func() { _ = rdb.Close() }()
	names := events.Naming{}
	w := NewWriter(rdb, names, Limits{TTL: time.Hour}, nil)
	all := course(t, "wf")
	for i, m := range all {
		if err := w.Handle(t.Context(), []consumer.Message{m})[0]; err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{names.LiveLog("wf"), names.LiveRow("wf")} {
			if life := rdb.PTTL(t.Context(), key).Val(); life < time.Hour {
				t.Errorf("after event %d %s lives %s", i+1, key, life)
			}
			if i%2 == 0 {
				rdb.Expire(t.Context(), key, time.Hour-time.Second)
			} else {
				rdb.Persist(t.Context(), key)
			}
		}
	}
}

// TestRowOfEarlierVersion: each field was a part of its own, and there was no top.
func TestRowOfEarlierVersion(t *testing.T) {
	t.Parallel()
	parts := map[string]string{"seq": "4 4", "updated_at": `4 "x"`, "tenant": `4 "blue"`, "name": `1 "a b"`, "state": `3 "running"`, "percent": "3 40"}
	for want, more := range map[string]map[string]string{
		`{"name":"a b","percent":40,"seq":4,"state":"running","tenant":"blue","updated_at":"x","workflow_id":"wf"}`: nil,
		`{"name":"a b","percent":40,"reason":"r","seq":6,"state":"failed","tenant":"blue","updated_at":"z","workflow_id":"wf"}`: {
			"top": "6", "updated_at,state,reason": "5\n\"y\"\n\"failed\"\n\"r\"", "updated_at,percent": "2\n\"w\"\n10", "updated_at,tenant": "6\n\"z\"\n\"blue\""},
	} {
		all := maps.Clone(parts)
		maps.Copy(all, more)
		if got, err := rowOf("wf", all); err != nil || string(got) != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
	if got, err := rowOf("wf", map[string]string{"updated_at,tenant": "1\n\"x\""}); err == nil {
		t.Errorf("a part of one value for two fields gives %s", got)
	}
}
