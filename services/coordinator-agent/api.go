package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"
	"github.com/swaggest/swgui/v5emb"

	"agentbus/pkg/access"
	"agentbus/pkg/events/bus"
)

// maxBody bounds a request's body, in bytes. Parameters travel in events, which
// are at most 1 MiB.
const maxBody = 512 << 10

// handler is the HTTP API, with its OpenAPI 3.1 document and a page of it.
func (c *coordinator) handler(guard *access.Guard, gate *access.Gate) http.Handler {
	mux, open := http.NewServeMux(), http.NewServeMux()
	cfg := huma.DefaultConfig("agentbus coordinator", "1.0.0")
	cfg.Info.Description = "Create workflows, follow them, cancel them. Errors are problem+json (RFC 9457); `errors[].location` names the field."
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "/openapi", "", ""
	cfg.Servers = []*huma.Server{{URL: "/", Description: "The coordinator that serves this document"}}
	cfg.CreateHooks = nil // no $schema links in answers
	cfg.RejectUnknownQueryParameters = true
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer",
		Description: "A static token or a JWT. Not asked for by a coordinator that listens on loopback without any."}}
	cfg.Security = []map[string][]string{{"bearer": {}}}
	api := humago.New(mux, cfg)
	open.Handle("/openapi.json", mux)
	open.Handle("/openapi.yaml", mux)
	open.Handle("/v1/", gate.Wrap(mux))
	open.Handle("GET /docs/", v5emb.New("agentbus coordinator", "/openapi.json", "/docs/"))
	open.Handle("GET /{$}", http.RedirectHandler("/docs/", http.StatusFound))

	const tag = "workflows"
	huma.Register(api, huma.Operation{OperationID: "create-workflow", Method: http.MethodPost, Path: "/v1/workflows", Tags: []string{tag},
		Summary: "Create a workflow", DefaultStatus: http.StatusCreated, MaxBodyBytes: maxBody,
		Description: "It starts at once. With an Idempotency-Key the same request, sent again, answers with the workflow of the first; another body under the same key is refused with 422.",
		Errors:      []int{400, 401, 413, 422, 503}}, c.apiCreate)
	huma.Register(api, huma.Operation{OperationID: "list-workflows", Method: http.MethodGet, Path: "/v1/workflows", Tags: []string{tag},
		Summary: "List workflows, newest first", Errors: []int{401, 422, 503}}, c.apiList)
	huma.Register(api, huma.Operation{OperationID: "get-workflow", Method: http.MethodGet, Path: "/v1/workflows/{id}", Tags: []string{tag},
		Summary: "Get a workflow", Errors: []int{401, 404, 422, 503}}, c.apiGet)
	huma.Register(api, huma.Operation{OperationID: "cancel-workflow", Method: http.MethodPost, Path: "/v1/workflows/{id}/cancel", Tags: []string{tag},
		Summary: "Cancel a running workflow", Description: "What it started is stopped within a second. Cancelling it again changes nothing.",
		Errors: []int{401, 404, 409, 422, 503}}, c.apiCancel)
	c.registerAgain(api)
	c.registerArtifacts(api)
	c.registerOperations(api)
	hidePatternDescriptions(api.OpenAPI())
	// A page of another site must not be able to start or cancel work in its
	// visitor's name; programs send no Origin and are not concerned.
	return guard.Wrap(http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(open, 2*maxBody)))
}

// hidePatternDescriptions takes the keyword patternDescription, which only huma knows, out of the document. The
// messages to callers that are made of it exist already.
func hidePatternDescriptions(doc *huma.OpenAPI) {
	for _, schema := range doc.Components.Schemas.Map() {
		for _, property := range schema.Properties {
			property.PatternDescription = ""
		}
	}
	for _, path := range doc.Paths {
		for _, operation := range []*huma.Operation{path.Get, path.Post} {
			if operation == nil {
				continue
			}
			for _, parameter := range operation.Parameters {
				parameter.Schema.PatternDescription = ""
			}
		}
	}
}

type createInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"128" doc:"Any text of yours that names this request, so that it can be repeated safely"`
	Traceparent    string `header:"traceparent" maxLength:"256" doc:"W3C trace context, put into the workflow's events"`
	Body           workflowRequest
}

type createOutput struct {
	Location string `header:"Location"`
	Replayed string `header:"Idempotent-Replayed" doc:"true when an earlier request with this key created it"`
	Body     workflowView
}

func (c *coordinator) apiCreate(ctx context.Context, in *createInput) (*createOutput, error) {
	w, err := in.Body.workflow(c.defaults)
	if err != nil {
		return nil, err
	}
	return c.begin(ctx, w, in.IdempotencyKey, in.Traceparent, in.Body)
}

// begin creates w for the caller, or finds the workflow that the same request under
// the same key created before.
func (c *coordinator) begin(ctx context.Context, w *workflow, key, traceparent string, request any) (*createOutput, error) {
	caller := access.From(ctx)
	w.Traceparent, w.Tenant, w.CreatedBy = traceparent, caller.Tenant, caller.Subject
	var err error
	if w.ID, w.Fingerprint, err = identify(key, w.Tenant, request); err != nil {
		return nil, err
	}
	out := func(w *workflow, replayed string) *createOutput {
		return &createOutput{Location: "/v1/workflows/" + w.ID, Replayed: replayed, Body: viewOf(w)}
	}
	err = c.store.commit(ctx, w, 0, c.machine.create(w, c.store.now()))
	switch {
	case err == nil:
		c.metrics.created.Inc()
		return out(w, ""), nil
	case !errors.Is(err, bus.ErrConflict):
		return nil, problem(err)
	}
	first, _, err := c.store.load(ctx, w.ID)
	if err != nil {
		return nil, problem(err)
	}
	if first.Fingerprint != w.Fingerprint {
		return nil, huma.Error422UnprocessableEntity("the Idempotency-Key was used for a different request",
			&huma.ErrorDetail{Location: "header.Idempotency-Key", Message: "use a new key for a new workflow; this one created " + w.ID, Value: key})
	}
	return out(first, "true"), nil
}

// identify makes the workflow's id: from the tenant and its key, when there is one,
// so that the same key means the same id and the state's revision decides who was
// first.
func identify(key, tenant string, request any) (id, fingerprint string, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(body)
	if key != "" {
		return "wf-" + uuid.NewSHA1(idempotencySpace, []byte(tenant+"\x00"+key)).String(), hex.EncodeToString(sum[:]), nil
	}
	u, err := uuid.NewV7()
	return "wf-" + u.String(), hex.EncodeToString(sum[:]), err
}

// idempotencySpace keeps ids made from keys apart from all others.
var idempotencySpace = uuid.MustParse("5b0f8f0e-6d0b-4f57-9d3a-5f1d3a1f7c61")

type listInput struct {
	State  State  `query:"state" enum:"running,completed,failed,cancelled" doc:"Only those in this state"`
	Name   string `query:"name" doc:"Only those of this name"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"At most so many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

type listOutput struct {
	Body struct {
		Workflows  []workflowView `json:"workflows"`
		NextCursor string         `json:"next_cursor,omitempty" doc:"Absent on the last page"`
	}
}

func (c *coordinator) apiList(ctx context.Context, in *listInput) (*listOutput, error) {
	from, err := parseCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	names, caller := c.store.bus.Names(), access.From(ctx)
	index := names.Workflows
	if !caller.Operator {
		index = func(part int) string { return names.TenantWorkflows(caller.Tenant, part) }
	}
	found, next, err := c.store.list(ctx, index, from, in.Limit, func(w *workflow) bool {
		return (in.State == "" || w.State == in.State) && (in.Name == "" || w.Name == in.Name)
	})
	if err != nil {
		return nil, problem(err)
	}
	out := &listOutput{}
	out.Body.Workflows = make([]workflowView, len(found))
	for i, w := range found {
		out.Body.Workflows[i] = viewOf(w)
	}
	if next != (cursor{}) {
		out.Body.NextCursor = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", next.ms, next.id))
	}
	return out, nil
}

func parseCursor(s string) (cursor, error) {
	if s == "" {
		return cursor{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	ms, id, ok := strings.Cut(string(raw), " ")
	n, numErr := strconv.ParseInt(ms, 10, 64)
	if err != nil || !ok || numErr != nil {
		return cursor{}, huma.Error422UnprocessableEntity("the cursor is not one of ours",
			&huma.ErrorDetail{Location: "query.cursor", Message: "give next_cursor of the page before, unchanged", Value: s})
	}
	return cursor{n, id}, nil
}

type idInput struct {
	ID string `path:"id" maxLength:"128" pattern:"^[A-Za-z0-9._-]+$" example:"wf-0190d0c8-6c0a-7e3c-8a51-2f6d0e9b7c11"`
}

type viewOutput struct{ Body workflowView }

func (c *coordinator) apiGet(ctx context.Context, in *idInput) (*viewOutput, error) {
	w, err := c.visible(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &viewOutput{viewOf(w)}, nil
}

// visible loads a workflow that the caller may see; any other is not there. The
// error is for the caller.
func (c *coordinator) visible(ctx context.Context, id string) (*workflow, error) {
	w, _, err := c.store.load(ctx, id)
	if err == nil && !access.From(ctx).MaySee(w.Tenant) {
		err = errUnknown
	}
	if err != nil {
		return nil, problemOf(err, id)
	}
	return w, nil
}

type cancelInput struct {
	ID   string `path:"id" maxLength:"128" pattern:"^[A-Za-z0-9._-]+$"`
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"500" doc:"Shown wherever the workflow is"`
	}
}

func (c *coordinator) apiCancel(ctx context.Context, in *cancelInput) (*viewOutput, error) {
	reason := "cancelled by the user"
	if in.Body != nil && in.Body.Reason != "" {
		reason = in.Body.Reason
	}
	if _, err := c.visible(ctx, in.ID); err != nil {
		return nil, err
	}
	err := c.change(ctx, in.ID, func(w *workflow, now time.Time) []note { return c.machine.cancel(w, reason, now) })
	if err != nil {
		return nil, problemOf(err, in.ID)
	}
	w, _, err := c.store.load(ctx, in.ID)
	if err != nil {
		return nil, problemOf(err, in.ID)
	}
	if w.State != Cancelled {
		return nil, huma.Error409Conflict("the workflow has ended already: it is " + string(w.State))
	}
	return &viewOutput{viewOf(w)}, nil
}

func problemOf(err error, id string) error {
	if errors.Is(err, errUnknown) {
		return huma.Error404NotFound("there is no workflow "+id, &huma.ErrorDetail{Location: "path.id", Message: "unknown, or finished so long ago that only the database has it", Value: id})
	}
	return problem(err)
}

// problem is Redis not answering, seen from outside.
func problem(err error) error {
	return huma.Error503ServiceUnavailable("the event bus does not answer; try again", err)
}
