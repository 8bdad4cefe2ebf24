package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/danielgtaylor/huma/v2"

	"agentbus/pkg/access"
	"agentbus/pkg/events/bus/inspect"
)

// registerOperations adds what operators look after the bus with: groups, which everybody may see, and
// dead letters, which hold events of all tenants.
func (c *coordinator) registerOperations(api huma.API) {
	const tag = "operations"
	huma.Register(api, huma.Operation{OperationID: "list-groups", Method: http.MethodGet, Path: "/v1/groups", Tags: []string{tag},
		Summary: "How far each consumer group is", Errors: []int{401, 503}}, c.apiGroups)
	huma.Register(api, huma.Operation{OperationID: "list-dead-letters", Method: http.MethodGet, Path: "/v1/dead-letters", Tags: []string{tag},
		Summary: "List the dead letters of a group, or of all", Description: "For operators.", Errors: []int{401, 403, 422, 503}}, c.apiLetters)
	for verb, does := range map[string]struct {
		summary string
		do      letterAction
	}{
		"replay": {"Give dead letters back to their group alone", c.operator.Replay},
		"drop":   {"Delete dead letters for good", func(ctx context.Context, group, id, _ string) error { return c.operator.Drop(ctx, group, id) }},
	} {
		huma.Register(api, huma.Operation{OperationID: verb + "-dead-letters", Method: http.MethodPost, Path: "/v1/dead-letters/" + verb, Tags: []string{tag},
			Summary: does.summary, Description: "For operators; who did it is recorded.", Errors: []int{401, 403, 422, 503}},
			func(ctx context.Context, in *chosenLetters) (*lettersDone, error) {
				return c.apiEachLetter(ctx, in, does.do)
			})
	}
}

type groupView struct {
	Group       string  `json:"group"`
	Members     int     `json:"members" doc:"Processes that read for it and live"`
	Suspect     int     `json:"suspect" doc:"Members whose leases stand still: they died or hang"`
	Lag         int64   `json:"lag" doc:"Entries not yet delivered"`
	Pending     int64   `json:"pending" doc:"Delivered, not acknowledged"`
	OldestAge   float64 `json:"oldest_age_seconds" doc:"Of the oldest entry not acknowledged"`
	DeadLetters int64   `json:"dead_letters"`
}

type groupsOutput struct {
	Body struct {
		Groups []groupView `json:"groups"`
	}
}

func (c *coordinator) apiGroups(ctx context.Context, _ *struct{}) (*groupsOutput, error) {
	all, err := c.operator.Groups(ctx)
	if err != nil {
		return nil, problem(err)
	}
	out := &groupsOutput{}
	out.Body.Groups = make([]groupView, len(all))
	for i, g := range all {
		out.Body.Groups[i] = groupView{Group: g.Group, Members: g.Members, Suspect: g.Suspect, Lag: g.Lag, Pending: g.Pending,
			OldestAge: g.OldestAge.Seconds(), DeadLetters: g.DeadLetters}
	}
	return out, nil
}

type lettersInput struct {
	Group    string `query:"group" doc:"Only this group's"`
	Class    string `query:"class" enum:"malformed,permanent,panic,timeout,crash,error" doc:"Only those that died of this"`
	Workflow string `query:"workflow_id" doc:"Only those of this workflow"`
	Limit    int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"At most so many"`
}

// letterView shows the entry as text: what is not UTF-8 comes as the replacement character.
type letterView struct {
	inspect.DeadLetter
	Data string `json:"data" doc:"The entry as it came"`
}

type lettersOutput struct {
	Body struct {
		Letters []letterView `json:"dead_letters"`
	}
}

func (c *coordinator) apiLetters(ctx context.Context, in *lettersInput) (*lettersOutput, error) {
	if err := operatorsOnly(ctx); err != nil {
		return nil, err
	}
	groups := []string{in.Group}
	if in.Group == "" {
		all, err := c.operator.Groups(ctx)
		if err != nil {
			return nil, problem(err)
		}
		groups = nil
		for _, g := range all {
			groups = append(groups, g.Group)
		}
	}
	out := &lettersOutput{}
	out.Body.Letters = []letterView{}
	for _, group := range groups {
		room := in.Limit - len(out.Body.Letters)
		if room == 0 { // which the bus would take for no limit
			break
		}
		found, err := c.operator.DeadLetters(ctx, group, inspect.DeadLetterFilter{Class: in.Class, WorkflowID: in.Workflow, Limit: room})
		if err != nil {
			return nil, problem(err)
		}
		for _, l := range found {
			out.Body.Letters = append(out.Body.Letters, letterView{l, string(l.Data)})
		}
	}
	return out, nil
}

type chosenLetters struct {
	Body struct {
		Group string   `json:"group" minLength:"1"`
		IDs   []string `json:"ids" minItems:"1" maxItems:"1000" doc:"As listed"`
	}
}

type lettersDone struct {
	Body struct {
		Done    int      `json:"done"`
		Missing []string `json:"missing" doc:"Ids that were not there any more"`
	}
}

var letterID = regexp.MustCompile(`^[0-9]{1,5}/[0-9]{1,20}-[0-9]{1,20}$`)

// letterAction does something to a letter on somebody's behalf.
type letterAction func(ctx context.Context, group, id, by string) error

func (c *coordinator) apiEachLetter(ctx context.Context, in *chosenLetters, do letterAction) (*lettersDone, error) {
	if err := operatorsOnly(ctx); err != nil {
		return nil, err
	}
	for i, id := range in.Body.IDs {
		if !letterID.MatchString(id) {
			return nil, huma.Error422UnprocessableEntity("an id is not one of ours", &huma.ErrorDetail{Location: fmt.Sprintf("body.ids[%d]", i),
				Message: "must be <partition>/<entry id> as listed, e.g. 0/1700000000000-0", Value: id})
		}
	}
	out := &lettersDone{}
	out.Body.Missing = []string{}
	for _, id := range in.Body.IDs {
		switch err := do(ctx, in.Body.Group, id, access.From(ctx).Subject); {
		case err == nil:
			out.Body.Done++
		case errors.Is(err, inspect.ErrNotFound):
			out.Body.Missing = append(out.Body.Missing, id)
		default:
			return nil, problem(err)
		}
	}
	return out, nil
}

func operatorsOnly(ctx context.Context) error {
	if access.From(ctx).Operator {
		return nil
	}
	return huma.Error403Forbidden("dead letters hold events of all tenants: only operators may see them")
}
