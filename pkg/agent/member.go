package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
	"agentbus/pkg/events/bus/consumer"
	"agentbus/pkg/service"
)

// Times of the bus-facing part.
const (
	drainTimeout = 15 * time.Second // for tasks in hand at a shutdown; then another member does them
	answerWithin = 30 * time.Second // for storing an answer once the work is done
)

// errSuperseded ends a task whose stage another member or a later try has taken over.
var errSuperseded = errors.New("the task was taken over")

// Serve makes the process an agent of the stage: it takes the requests that are
// addressed to it, lets builtin (or the user's command) do them and answers, until
// ctx ends and the tasks in hand are done.
//
// A request's course is kept in one record per workflow and stage, which changes
// only together with the events that tell of it:
//
//	(none) ──accept: *.started, accepted──▶ working ──answer: *.completed or
//	   ▲                                    │  ▲       *.failed, and the response──▶ done
//	   └── a later try supersedes ◀─────────┘  └ again, silently, after a crash
//
// So a request that comes twice, or whose member died, is announced once and
// answered once; the work itself is done again only when it had not been answered.
func Serve(ctx context.Context, stage events.Stage, settings Settings, redis bus.Config, builtin Tool, rt *service.Runtime) error {
	redis.Log, redis.Metrics = rt.Log, rt.Metrics
	b, err := bus.Open(ctx, redis)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	bench, err := settings.Bench(ctx, builtin)
	if err != nil {
		return err
	}
	defer func() { _ = bench.Store.Close() }()
	killed := KillOrphans(ctx)
	cleared, err := ClearWorkspaces(settings.WorkspaceDir)
	if err != nil {
		return fmt.Errorf("WORKSPACE_DIR: %w", err)
	}
	if killed+cleared > 0 {
		rt.Log.Warn().Int("processes", killed).Int("workspaces", cleared).Msg("cleared away what a killed agent left")
	}
	rt.Ready("redis", b.Ping)
	rt.Ready("artifacts", bench.Store.Ready)

	m := &member{stage: stage, bus: b, bench: bench, log: rt.Log, cancelled: newCancellations(), metrics: newMetrics(rt.Metrics, stage)}
	tail, stop := context.WithCancel(context.WithoutCancel(ctx)) // cancellations are heard during the drain too
	tailed := make(chan error, 1)
	go func() {
		tailed <- consumer.Tail(tail, b, consumer.Tailing{Types: m.cancelled.ends(), From: "0"}, m.cancelled.heed)
	}()
	err = consumer.Run(ctx, b, consumer.Subscription{
		Group: stage.Group(), Types: []events.Type{events.A2ARequest}, Handle: m.handle,
		// No request waits behind a task here while another member is idle.
		Concurrency: settings.Concurrency, Prefetch: settings.Concurrency,
		HandlerTimeout: settings.ToolTimeout + time.Minute, DrainTimeout: drainTimeout,
	})
	stop()
	if tailErr := <-tailed; tailErr != nil && !errors.Is(tailErr, context.Canceled) {
		err = errors.Join(err, tailErr)
	}
	return err
}

// member serves requests of one stage.
type member struct {
	stage     events.Stage
	bus       *bus.Bus
	bench     *Bench
	log       zerolog.Logger
	cancelled *cancellations
	metrics   *metrics
}

// handle serves one request.
func (m *member) handle(ctx context.Context, msg consumer.Message) error {
	r, err := events.PayloadOf[events.A2ARequestData](msg.Event)
	if err != nil {
		return consumer.Permanent(err)
	}
	if r.To != m.stage.Agent() {
		return nil // another agent's
	}
	if r.Stage != m.stage {
		return consumer.Permanent(fmt.Errorf("field data.stage: %s does the stage %s, not %s", r.To, m.stage, r.Stage))
	}
	log := m.log.With().Str("workflow_id", msg.Event.WorkflowID).Str("correlation_id", r.CorrelationID).Int("attempt", r.Attempt).Logger()
	if !time.Now().Before(r.Deadline) {
		log.Warn().Time("deadline", r.Deadline).Msg("request came after its deadline, nobody waits for it")
		return nil
	}
	t := &request{A2ARequestData: *r, workflow: msg.Event.WorkflowID, metadata: msg.Event.Metadata, agent: m.stage.Agent(), worker: m.bus.Member()}
	if err := m.accept(ctx, t); err != nil {
		if errors.Is(err, errSuperseded) {
			return nil
		}
		return err
	}
	log.Info().Msg("task accepted")
	out, err := m.work(ctx, t)
	if ctx.Err() != nil { // the bus took it back: whoever gets it does it again
		return context.Cause(ctx)
	}
	if err := m.answer(ctx, t, out, err, log); err != nil && !errors.Is(err, errSuperseded) {
		return err
	}
	return nil
}

// work does the request under its deadline and within reach of a cancellation.
func (m *member) work(ctx context.Context, t *request) (Outcome, error) {
	late := failf(CodeTimeout, "the stage was not done at its deadline, %s; give it more time", t.Deadline.UTC().Format(time.RFC3339))
	late.Retryable = true
	ctx, cancel := context.WithDeadlineCause(ctx, t.Deadline, late)
	defer cancel()
	ctx, release := m.cancelled.watch(ctx, t.workflow)
	defer release()
	progress := m.report(t)
	defer progress.close()
	return m.bench.Do(ctx, Job{
		WorkflowID: t.workflow, Stage: t.Stage, CorrelationID: t.CorrelationID, Attempt: t.Attempt, Parameters: t.Parameters, Inputs: t.Inputs,
	}, progress.add)
}

// answer ends the record and publishes the outcome, both or neither. The agent's
// own trouble is a retryable failure: the coordinator decides about another try.
func (m *member) answer(ctx context.Context, t *request, out Outcome, err error, log zerolog.Logger) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	var failure *Failure
	if err != nil && !errors.As(err, &failure) {
		log.Error().Err(err).Msg("task could not be done")
		failure = &Failure{Code: CodeInfrastructure, Reason: err.Error(), Retryable: true}
	}
	evs, err := t.answers(out, failure)
	if err != nil {
		return consumer.Permanent(err)
	}
	t.record.Done = true
	if err := m.commit(ctx, t, evs); err != nil {
		return err
	}
	line, outcome := log.Info().Dur("duration_ms", out.Duration), "succeeded"
	if failure != nil {
		line, outcome = line.Str("code", string(failure.Code)).Str("reason", clip(failure.Reason, 1000)), "failed"
		if failure.Code == CodeCancelled {
			outcome = "cancelled"
		}
	}
	line.Str("outcome", outcome).Msg("task ended")
	m.metrics.ended(outcome, out.Duration)
	return nil
}

// accept takes the record, unless somebody answered the request or a later one.
func (m *member) accept(ctx context.Context, t *request) error {
	state, err := m.bus.Load(ctx, m.key(t))
	if err != nil {
		return err
	}
	t.rev = state.Rev
	if state.Rev > 0 {
		var before record
		if err := json.Unmarshal(state.Doc, &before); err != nil {
			return consumer.Permanent(fmt.Errorf("%s: %w", m.key(t), err))
		}
		same := before.CorrelationID == t.CorrelationID
		if same && before.Done || before.Attempt > t.Attempt {
			return errSuperseded
		}
		if same { // its member died: it was announced, and is not again
			t.record = before
			return nil
		}
	}
	t.record = record{CorrelationID: t.CorrelationID, Attempt: t.Attempt}
	evs, err := t.accepted()
	if err != nil {
		return consumer.Permanent(err)
	}
	return m.commit(ctx, t, evs)
}

func (m *member) key(t *request) string { return m.bus.Names().Task(t.workflow, t.Stage) }

// recordTTL outlives every redelivery of a request.
const recordTTL = 24 * time.Hour

func (m *member) commit(ctx context.Context, t *request, evs []events.Event) error {
	doc, err := json.Marshal(t.record)
	if err != nil {
		return err
	}
	_, err = m.bus.Commit(ctx, bus.Change{Key: m.key(t), Rev: t.rev, Doc: doc, TTL: recordTTL}, evs...)
	if errors.Is(err, bus.ErrConflict) {
		return errSuperseded
	}
	if err == nil {
		t.rev++
	}
	return err
}
