// Package api is the live view's HTTP API: who am I, tickets for browsers, and the past of a workflow.
// What it does not know itself it hands on to the coordinator, so that the page, and whoever likes, has
// one address for all.
package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"agentbus/pkg/access"
	"agentbus/services/websocket-manager/door"
	"agentbus/services/websocket-manager/history"
)

// Config of [Handler]; all fields are needed.
type Config struct {
	Gate        *access.Gate
	Door        *door.Door
	History     *history.History
	Coordinator http.Handler // see [Proxy]
	Streams     http.Handler // Server-Sent Events of a workflow
}

type api struct{ Config }

// Handler serves /v1/ and /openapi.json.
func Handler(c Config) http.Handler {
	a := &api{c}
	own, open := http.NewServeMux(), http.NewServeMux()
	cfg := huma.DefaultConfig("agentbus live view", "1.0.0")
	cfg.Info.Description = "Beside the WebSocket (ws/PROTOCOL.md). Errors are problem+json (RFC 9457)."
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "/openapi", "", ""
	cfg.Servers = []*huma.Server{{URL: "/", Description: "The replica that serves this document"}}
	cfg.CreateHooks = nil // no $schema links in answers
	cfg.RejectUnknownQueryParameters = true
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"}}
	cfg.Security = []map[string][]string{{"bearer": {}}}
	h := humago.New(own, cfg)
	huma.Register(h, huma.Operation{OperationID: "get-session", Method: http.MethodGet, Path: "/v1/session", Tags: []string{"access"},
		Summary: "Who the token says I am", Errors: []int{401}}, a.session)
	huma.Register(h, huma.Operation{OperationID: "create-ticket", Method: http.MethodPost, Path: "/v1/tickets", Tags: []string{"access"},
		Summary: "Trade the token for a ticket", DefaultStatus: http.StatusCreated, Errors: []int{401, 503},
		Description: "A browser puts it into the address of a WebSocket or an EventSource, as ?ticket=. It opens one connection, within 30 seconds."}, a.ticket)
	huma.Register(h, huma.Operation{OperationID: "get-history", Method: http.MethodGet, Path: "/v1/workflows/{id}/history", Tags: []string{"workflows"},
		Summary: "The events of a workflow, page by page", Errors: []int{401, 404, 422, 503},
		Description: "From what the live view keeps, and for what it does not, from the record in PostgreSQL, which has workflow.* and the ends of stages. Each number is in events or in gaps."}, a.history)
	follow := &huma.Operation{OperationID: "follow-workflow", Method: http.MethodGet, Path: "/v1/workflows/{id}/events", Tags: []string{"workflows"},
		Summary:     "Follow a workflow by Server-Sent Events",
		Description: "Data are the frames event, gap and live of the WebSocket's protocol; ids are numbers of events. Ends when the token expires or the replica leaves.",
		Parameters: []*huma.Param{
			{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}},
			{Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: "integer"}, Description: "The number seen last"},
			{Name: "since", In: "query", Schema: &huma.Schema{Type: "integer"}, Description: "The same, where the header is absent"},
			{Name: "ticket", In: "query", Schema: &huma.Schema{Type: "string"}, Description: "Instead of the token"},
		},
		Responses: map[string]*huma.Response{"200": {Description: "The stream", Content: map[string]*huma.MediaType{"text/event-stream": {}}}},
	}
	problem := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[huma.ErrorModel](), true, "")
	for _, status := range []int{400, 401, 404, 503} { // Register would do this, but the stream is served by its own handler
		follow.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status),
			Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problem}}}
	}
	h.OpenAPI().AddOperation(follow)
	for _, path := range []string{"/v1/session", "/v1/tickets", "/v1/workflows/{id}/history"} {
		open.Handle(path, c.Gate.Wrap(own))
	}
	open.Handle("GET /v1/workflows/{id}/events", c.Streams)
	open.Handle("/openapi.json", own)
	open.Handle("/v1/", c.Coordinator)
	return open
}

type sessionOutput struct {
	Body struct {
		Authentication bool   `json:"authentication" doc:"false where everybody is let in"`
		Subject        string `json:"subject"`
		Tenant         string `json:"tenant"`
		Operator       bool   `json:"operator" doc:"Sees every tenant, groups and dead letters"`
	}
}

func (a *api) session(ctx context.Context, _ *struct{}) (*sessionOutput, error) {
	p, out := access.From(ctx), &sessionOutput{}
	out.Body.Authentication, out.Body.Subject, out.Body.Tenant, out.Body.Operator = !a.Gate.Open(), p.Subject, p.Tenant, p.Operator
	return out, nil
}

type ticketOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Ticket    string `json:"ticket"`
		ExpiresIn int    `json:"expires_in_seconds"`
	}
}

func (a *api) ticket(ctx context.Context, _ *struct{}) (*ticketOutput, error) {
	ticket, err := a.Door.Ticket(ctx, access.From(ctx))
	if err != nil {
		return nil, unavailable(err)
	}
	out := &ticketOutput{CacheControl: "no-store"}
	out.Body.Ticket, out.Body.ExpiresIn = ticket, int(door.TicketLife/time.Second)
	return out, nil
}

type historyInput struct {
	ID    string `path:"id" maxLength:"128" pattern:"^[A-Za-z0-9._-]+$"`
	After int64  `query:"after" minimum:"0" doc:"Numbers above this one"`
	Limit int64  `query:"limit" minimum:"1" maximum:"1000" default:"500" doc:"So many numbers"`
}

type historyOutput struct {
	Body struct {
		WorkflowID string             `json:"workflow_id"`
		Events     []history.Numbered `json:"events"`
		Gaps       []history.Gap      `json:"gaps" doc:"Numbers of which nothing is kept"`
		To         int64              `json:"to" doc:"The page covers the numbers up to here"`
		Last       int64              `json:"last" doc:"The highest number known"`
		NextAfter  int64              `json:"next_after,omitempty" doc:"after of the next page; absent on the last"`
	}
}

func (a *api) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	err := a.Door.Check(ctx, access.From(ctx), in.ID)
	if errors.Is(err, door.ErrUnknown) {
		return nil, huma.Error404NotFound(err.Error(), &huma.ErrorDetail{Location: "path.id", Message: "unknown", Value: in.ID})
	}
	if err != nil {
		return nil, unavailable(err)
	}
	page, err := a.History.Read(ctx, in.ID, in.After, in.Limit)
	if err != nil {
		return nil, unavailable(err)
	}
	if page.Last == 0 {
		return nil, huma.Error404NotFound("nothing is kept of the workflow", &huma.ErrorDetail{Location: "path.id", Message: "unknown", Value: in.ID})
	}
	out := &historyOutput{}
	b := &out.Body
	b.WorkflowID, b.Events, b.Gaps, b.To, b.Last = in.ID, page.Events, page.Gaps, page.To, page.Last
	if page.To < page.Last {
		b.NextAfter = page.To
	}
	return out, nil
}

// unavailable does not show err: a database's error may hold its address.
func unavailable(error) error {
	return huma.Error503ServiceUnavailable("Redis or PostgreSQL does not answer; try again a little later")
}
