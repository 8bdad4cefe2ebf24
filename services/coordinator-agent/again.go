package main

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

func (c *coordinator) registerAgain(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "run-workflow-again", Method: http.MethodPost, Path: "/v1/workflows/{id}/run-again", Tags: []string{"workflows"},
		Summary: "Run a workflow again", Description: "Creates a new one with the same request; the old one stays as it is.", DefaultStatus: http.StatusCreated,
		Errors: []int{401, 404, 422, 503}}, c.apiAgain)
}

type againInput struct {
	ID             string `path:"id" maxLength:"128" pattern:"^[A-Za-z0-9._-]+$"`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"128" doc:"Any text of yours that names this request, so that it can be repeated safely"`
	Traceparent    string `header:"traceparent" maxLength:"256" doc:"W3C trace context, put into the workflow's events"`
}

func (c *coordinator) apiAgain(ctx context.Context, in *againInput) (*createOutput, error) {
	old, err := c.visible(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	w := &workflow{Name: old.Name}
	for _, s := range old.Stages {
		w.Stages = append(w.Stages, stage{Name: s.Name, Parameters: s.Parameters, Timeout: s.Timeout, Attempts: s.Attempts})
	}
	return c.begin(ctx, w, in.IdempotencyKey, in.Traceparent, struct{ Again string }{in.ID})
}
