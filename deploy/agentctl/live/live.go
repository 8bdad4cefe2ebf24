// Package live is a client of the websocket-manager; the only one of this module that knows the
// WebSocket library.
package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"nhooyr.io/websocket"

	"agentbus/pkg/events"
)

// Frame is what the server sends; which fields are set depends on Type.
type Frame struct {
	Type       string       `json:"type"` // event, gap, live, error, ...; unknown ones are to be ignored
	WorkflowID string       `json:"workflow_id"`
	Seq        int64        `json:"seq"`   // of an event: its number in the workflow
	Event      events.Event `json:"event"` // of an event
	From       int64        `json:"from"`  // of a gap: the first number that is not kept
	To         int64        `json:"to"`    // and the last
	Code       string       `json:"code"`  // of an error
	Message    string       `json:"message"`
}

// Conn is one connection. Its methods are for one goroutine, except Close.
type Conn struct {
	conn *websocket.Conn
}

const (
	dialTimeout = 5 * time.Second
	maxFrame    = 2 << 20 // bytes: the largest event and what is around it
)

// ErrToken is returned where the server asks for a token, or does not accept the one it was given; another
// try with it ends the same.
var ErrToken = errors.New("a token is needed, or the one given is not accepted")

// Dial connects to the server at base, such as http://127.0.0.1:8081, for the events of one workflow
// after number since. token is sent as bearer token where it is not "", to that server alone.
func Dial(ctx context.Context, base, token, workflowID string, since int64) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	query := url.Values{"workflow_id": {workflowID}, "since": {strconv.FormatInt(since, 10)}}
	options := &websocket.DialOptions{HTTPHeader: http.Header{}, HTTPClient: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if token != "" {
		options.HTTPHeader.Set("Authorization", "Bearer "+token)
	}
	conn, response, err := websocket.Dial(ctx, strings.TrimSuffix(base, "/")+"/ws?"+query.Encode(), options)
	if err != nil {
		if response != nil && response.Body != nil {
			_ = response.Body.Close() // err says more
		}
		if response != nil && response.StatusCode == http.StatusUnauthorized {
			err = errors.Join(ErrToken, err)
		}
		return nil, fmt.Errorf("live events at %s: %w", base, err)
	}
	conn.SetReadLimit(maxFrame)
	return &Conn{conn}, nil
}

// Next waits for a frame. When ctx ends the connection is closed.
func (c *Conn) Next(ctx context.Context) (Frame, error) {
	var f Frame
	_, raw, err := c.conn.Read(ctx)
	if err != nil {
		return f, fmt.Errorf("live events: %w", err)
	}
	// An event is decoded strictly; what has none is another frame.
	var kind struct{ Type string }
	if err := json.Unmarshal(raw, &kind); err != nil {
		return f, fmt.Errorf("live events: a frame that is no JSON: %w", err)
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return f, fmt.Errorf("live events: frame %s: %w", kind.Type, err)
	}
	return f, nil
}

// Close ends the connection with a close frame.
func (c *Conn) Close() error { return c.conn.Close(websocket.StatusNormalClosure, "") }
