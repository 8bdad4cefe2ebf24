// Package coordinator is a client of the coordinator's HTTP API.
package coordinator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Client speaks to one coordinator. The zero HTTP has a timeout of 15 s per request and goes nowhere else.
type Client struct {
	Base  string // such as http://127.0.0.1:8080
	Token string // sent as bearer token where not ""; no error holds it
	HTTP  *http.Client
}

// ErrUnreachable is returned by every call when nobody listens at Base; start a coordinator.
var ErrUnreachable = errors.New("no coordinator answers")

// Tries of a request that may be repeated, and the first pause between two; it doubles.
const (
	tries      = 4
	firstPause = 250 * time.Millisecond
)

// Create asks for a workflow; body is the request as JSON. The key makes it safe to repeat, which Create
// itself does when an answer is lost or Redis is away for a moment. replayed tells that an earlier
// request with the key had made the workflow.
func (c *Client) Create(ctx context.Context, body []byte, key string) (w Workflow, replayed bool, err error) {
	return c.create(ctx, "/v1/workflows", body, key)
}

// RunAgain asks for a new workflow with the same request as that one, repeated and replayed like [Client.Create].
func (c *Client) RunAgain(ctx context.Context, id, key string) (w Workflow, replayed bool, err error) {
	return c.create(ctx, "/v1/workflows/"+url.PathEscape(id)+"/run-again", nil, key)
}

func (c *Client) create(ctx context.Context, path string, body []byte, key string) (w Workflow, replayed bool, err error) {
	pause := firstPause
	for try := 1; ; try++ {
		var header http.Header
		header, err = c.call(ctx, http.MethodPost, path, http.Header{"Idempotency-Key": {key}}, body, &w)
		if try == tries || !passing(err) {
			return w, header.Get("Idempotent-Replayed") == "true", err
		}
		select {
		case <-ctx.Done():
			return w, false, context.Cause(ctx)
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// passing reports whether the same request may succeed a little later. That nobody listens is told at once.
func passing(err error) bool {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem.Status >= 502 && problem.Status <= 504
	}
	return err != nil && !errors.Is(err, ErrUnreachable) && !errors.Is(err, context.Canceled)
}

// Get returns a workflow.
func (c *Client) Get(ctx context.Context, id string) (w Workflow, err error) {
	_, err = c.call(ctx, http.MethodGet, "/v1/workflows/"+url.PathEscape(id), nil, nil, &w)
	return w, err
}

// Cancel ends a running workflow. reason may be empty.
func (c *Client) Cancel(ctx context.Context, id, reason string) (w Workflow, err error) {
	var body []byte
	if reason != "" {
		if body, err = json.Marshal(map[string]string{"reason": reason}); err != nil {
			return w, err
		}
	}
	_, err = c.call(ctx, http.MethodPost, "/v1/workflows/"+url.PathEscape(id)+"/cancel", nil, body, &w)
	return w, err
}

// Query chooses what List returns; zero values choose all.
type Query struct {
	State, Name, Cursor string
	Limit               int // 0: the coordinator's default
}

// List returns a page of workflows, newest first, and the cursor of the next one, "" on the last.
func (c *Client) List(ctx context.Context, q Query) ([]Workflow, string, error) {
	values := url.Values{}
	for name, value := range map[string]string{"state": q.State, "name": q.Name, "cursor": q.Cursor} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	var page struct {
		Workflows  []Workflow `json:"workflows"`
		NextCursor string     `json:"next_cursor"`
	}
	_, err := c.call(ctx, http.MethodGet, "/v1/workflows?"+values.Encode(), nil, nil, &page)
	return page.Workflows, page.NextCursor, err
}

// stay follows no redirect: the API has none, and the token is for Base alone.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// maxAnswer bounds what is read of an answer, in bytes: 200 workflows with everything they hold.
const maxAnswer = 64 << 20

func (c *Client) call(ctx context.Context, method, path string, header http.Header, body []byte, into any) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if header != nil {
		request.Header = header
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client := c.HTTP
	if client == nil {
		client = &http.Client{Timeout: 15 * time.Second, CheckRedirect: stay}
	}
	response, err := client.Do(request)
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return nil, fmt.Errorf("%w at %s (%w)", ErrUnreachable, c.Base, dial.Err)
		}
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return response.Header, problemOf(response, answer, c.Token)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return nil, fmt.Errorf("%s answered something else than a coordinator does: %w", c.Base, err)
	}
	return response.Header, nil
}
