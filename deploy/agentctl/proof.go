package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"agentbus/deploy/agentctl/record"
	"agentbus/deploy/localstack"
	"agentbus/pkg/events"
	"agentbus/pkg/events/bus"
)

// proof gathers what the consumers recorded of one workflow and holds it against what was published.
type proof struct {
	stack  *localstack.Stack
	bus    *bus.Bus
	frames *record.Frames
	before record.Samples // metrics have no workflow's label: what was counted before is taken off
}

// finding is what one consumer recorded; wrong is nil when that is everything, once.
type finding struct {
	who, what string
	wrong     error
}

// settle is how long the consumers may take after the workflow's end.
const settle = 10 * time.Second

func (p *proof) begin(ctx context.Context) (err error) {
	p.before, err = record.Scrape(ctx, p.collectors()...)
	return err
}

func (p *proof) collectors() (ops []string) { return p.stack.URLs("metrics-collector", "OPS_ADDR") }

// collect looks until every consumer is complete, or for as long as they may take.
func (p *proof) collect(ctx context.Context, workflowID string) ([]finding, error) {
	b, err := bus.Open(ctx, p.stack.BusConfig())
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	p.bus = b
	for end := time.Now().Add(settle); ; {
		list, err := p.look(ctx, workflowID)
		complete := err == nil
		for _, f := range list {
			complete = complete && f.wrong == nil
		}
		if complete || time.Now().After(end) {
			return list, err
		}
		select {
		case <-ctx.Done():
			return list, errors.Join(err, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *proof) look(ctx context.Context, id string) ([]finding, error) {
	published, err := record.Published(ctx, p.bus, id)
	if err != nil {
		return nil, err
	}
	stored, err := record.Stored(published)
	if err != nil {
		return nil, err
	}
	rows, err := record.ReadRows(ctx, p.stack.DatabaseURL, id)
	if err != nil {
		return nil, err
	}
	counted, err := record.Scrape(ctx, p.collectors()...)
	if err != nil {
		return nil, err
	}
	lines, err := record.Lines(id, p.stack.Logs("log-aggregator")...)
	if err != nil {
		return nil, err
	}
	received := p.frames.Events()
	samples := counted.Since(p.before)
	return []finding{
		{"published", fmt.Sprintf("%d events of %d types in Redis", len(published), len(record.Count(published))), something(published)},
		{"db-writer", fmt.Sprintf("%d rows in workflow_updates, %d in stage_results, workflow %s", len(rows.Updates), len(rows.Stages), stateOf(rows)),
			errors.Join(record.Difference(stored, rows.Updates), completed(rows))},
		{"websocket-manager", fmt.Sprintf("%d frames received, numbered 1 to %d", len(received), len(received)),
			errors.Join(record.Difference(published, record.IDs(received)), p.frames.Check())},
		{"metrics-collector", fmt.Sprintf("%d counted in %d samples, one per type", samples.Total(), len(samples)), sameCount(samples, record.Count(published))},
		{"log-aggregator", fmt.Sprintf("%d log lines", len(lines)), record.Difference(published, lines)},
	}, nil
}

func something(published []events.Event) error {
	if len(published) == 0 {
		return errors.New("nothing is there")
	}
	return nil
}

func stateOf(r record.Rows) string {
	if r.Workflow == nil {
		return "missing"
	}
	return r.Workflow.State
}

func completed(r record.Rows) error {
	if state := stateOf(r); state != "completed" {
		return fmt.Errorf("the row in workflows is %s", state)
	}
	if len(r.Stages) < len(events.Stages()) {
		return fmt.Errorf("only %d stages are in stage_results", len(r.Stages))
	}
	return nil
}

func sameCount(samples, published record.Samples) error {
	if maps.Equal(samples, published) {
		return nil
	}
	for t, n := range published {
		if samples[t] != n {
			return fmt.Errorf("%s was counted %d times, published %d times", t, samples[t], n)
		}
	}
	return errors.New("events were counted that were not published for this workflow")
}
