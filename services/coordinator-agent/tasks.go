package main

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// The index of tasks says what every agent has to do: of each running workflow whose stage was sent to
// its agent, the agent and whether a member has accepted. It is a sorted set, with a kind of task as
// score, so that one command moves a workflow from kind to kind in the commit that does so, a workflow is
// never counted twice, and counting a kind takes Redis microseconds however many workflows there are.
//
// A stage that rests between two tries is nobody's task, and neither is a workflow that has ended.

// taskStates are the values of the label "state", in the order of the scores of one agent.
var taskStates = []string{"waiting", "running"}

// taskScore is the score of a stage's tasks in a state. Scores are kept in Redis: new stages come last.
func taskScore(stage, state int) float64 { return float64(len(taskStates)*stage + state) }

// task is where the workflow belongs in the index.
func (w *workflow) task(key string) bus.IndexUpdate {
	u := bus.IndexUpdate{Key: key, Member: w.ID}
	s := w.stage()
	state := slices.Index([]phase{asked, working}, s.Phase) // in the order of taskStates
	if w.State.Final() || state < 0 {
		u.Remove = true
		return u
	}
	u.Score = taskScore(slices.Index(events.Stages(), s.Name), state)
	return u
}

// tasks counts, by stage and state in the order of the scores.
func (s *store) tasks(ctx context.Context) ([]int64, error) {
	names, kinds := s.bus.Names(), len(events.Stages())*len(taskStates)
	pipe := s.bus.Client().Pipeline()
	var counts []*redis.IntCmd
	for part := range names.Parts() {
		for kind := range kinds {
			score := strconv.Itoa(kind)
			counts = append(counts, pipe.ZCount(ctx, names.Tasks(part), score, score))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	sums := make([]int64, kinds)
	for i, c := range counts {
		sums[i%kinds] += c.Val()
	}
	return sums, nil
}

// sweepTasks drops workflows that are not open any more. Commits leave none behind; a coordinator of a
// version that knows no index does, during a roll-out, and so does a state that somebody deleted. An open
// workflow always has a deadline, and one that has ended never gets another.
func (s *store) sweepTasks(ctx context.Context) error {
	names := s.bus.Names()
	for part := range names.Parts() {
		ended, err := s.bus.Client().ZDiff(ctx, names.Tasks(part), names.Deadlines(part)).Result()
		if err != nil {
			return err
		}
		for some := range slices.Chunk(ended, 1000) {
			if err := s.bus.Client().ZRem(ctx, names.Tasks(part), some).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// taskGauge shows the counts. Every replica shows the same: aggregate with max. It asks Redis when it is
// scraped, and shows nothing when Redis does not answer: an autoscaler then leaves the agents alone, which
// it would not for values that stand still.
type taskGauge struct{ store *store }

var taskDesc = prometheus.NewDesc("agentbus_agent_tasks",
	"Requests of running workflows that the agent has: waiting for a member to accept, or running. The same on every replica: aggregate with max.",
	[]string{"agent", "state"}, nil)

// taskPatience bounds one look: a scrape must not fail for it.
const taskPatience = 2 * time.Second

// Describe implements prometheus.Collector.
func (g taskGauge) Describe(to chan<- *prometheus.Desc) { to <- taskDesc }

// Collect implements prometheus.Collector.
func (g taskGauge) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), taskPatience)
	defer cancel()
	counts, err := g.store.tasks(ctx)
	if err != nil {
		return // readiness and the log tell of it
	}
	for i, stage := range events.Stages() {
		for j, state := range taskStates {
			to <- prometheus.MustNewConstMetric(taskDesc, prometheus.GaugeValue,
				float64(counts[int(taskScore(i, j))]), stage.Agent(), state)
		}
	}
}
