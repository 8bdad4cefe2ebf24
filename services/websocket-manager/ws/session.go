package ws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"nhooyr.io/websocket"

	"agentbus/pkg/access"
	"agentbus/services/websocket-manager/door"
	"agentbus/services/websocket-manager/live"
)

// maxReplies bounds the answers to requests that wait to be written; a client that sends requests faster
// than it reads answers is cut off.
const maxReplies = 128

// errSlow ends the writer after it has closed the connection.
var errSlow = errors.New("the client is too slow")

// session is one connection.
type session struct {
	server *Server
	conn   *websocket.Conn
	who    access.Principal
	wake   chan struct{} // capacity 1: something may be there to write
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	beat    *time.Timer // of pings
	replies []any
	watches map[string]*live.Watch
	order   []string // of watches, so that they take turns
	list    *live.ListWatch

	end sync.Once
	why string // for metrics; set once
}

func newSession(s *Server, conn *websocket.Conn, who access.Principal) *session {
	// Not the request's context: when that ends the library drops the connection without a close frame.
	ctx, cancel := context.WithCancel(context.Background())
	return &session{server: s, conn: conn, who: who, wake: make(chan struct{}, 1), ctx: ctx, cancel: cancel, watches: map[string]*live.Watch{}}
}

// serve runs the connection to its end and says why it ended.
func (c *session) serve(first request) string {
	var wg sync.WaitGroup
	c.reply(helloFrame{"hello", Protocol, c.server.cfg.Member})
	if first.Type != "" {
		c.do(first)
	}
	wg.Go(c.write)
	release := c.keep()
	c.read()
	c.cancel()
	release()
	wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.watches {
		w.Close()
	}
	if c.list != nil {
		c.list.Close()
	}
	_ = c.conn.CloseNow()
	return c.why
}

// close ends the connection with a close frame. Only the first call counts.
func (c *session) close(why string, code websocket.StatusCode, reason string) {
	c.end.Do(func() {
		c.why = why
		_ = c.conn.Close(code, reason) // at most 10 s
		c.cancel()
	})
}

// drop ends the connection at once: nothing can be written to it any more.
func (c *session) drop(why string) {
	c.end.Do(func() {
		c.why = why
		_ = c.conn.CloseNow()
		c.cancel()
	})
}

func (c *session) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// reply queues an answer.
func (c *session) reply(frame any) {
	c.mu.Lock()
	full := len(c.replies) >= maxReplies
	if !full {
		c.replies = append(c.replies, frame)
	}
	c.mu.Unlock()
	if full {
		c.close("slow", closeSlow, "answers are not read")
		return
	}
	c.signal()
}

// read serves requests until the connection ends.
func (c *session) read() {
	for {
		kind, raw, err := c.conn.Read(c.ctx)
		if err != nil {
			c.drop("client")
			return
		}
		if kind != websocket.MessageText {
			c.close("bad_frame", closeBadFrame, "frames are JSON text")
			return
		}
		r, err := parseRequest(raw)
		if err != nil {
			c.reply(errorFrame{"error", errBadRequest, err.Error(), ""})
			continue
		}
		c.do(r)
	}
}

func (c *session) do(r request) {
	switch {
	case r.Type == "subscribe" && r.List:
		c.mu.Lock()
		if c.list == nil {
			c.list = c.server.cfg.Feed.WatchList(c.who.MaySee, c.signal)
		}
		c.mu.Unlock()
		c.reply(subscribedFrame{Type: "subscribed", List: true})
	case r.Type == "subscribe":
		c.subscribe(r)
	case r.List:
		c.mu.Lock()
		if c.list != nil {
			c.list.Close()
			c.list = nil
		}
		c.mu.Unlock()
		c.reply(unsubscribedFrame{Type: "unsubscribed", List: true})
	default:
		c.remove(r.WorkflowID)
		c.reply(unsubscribedFrame{Type: "unsubscribed", WorkflowID: r.WorkflowID})
	}
}

// subscribe begins anew when the workflow was subscribed already: since decides.
func (c *session) subscribe(r request) {
	c.remove(r.WorkflowID)
	c.mu.Lock()
	n := len(c.watches)
	c.mu.Unlock()
	if n >= c.server.cfg.MaxSubscriptions {
		c.reply(errorFrame{"error", errTooMany, fmt.Sprintf("at most %d workflows on one connection", n), r.WorkflowID})
		return
	}
	err := c.server.cfg.Door.Check(c.ctx, c.who, r.WorkflowID)
	if errors.Is(err, door.ErrUnknown) {
		c.reply(errorFrame{"error", errNotFound, err.Error(), r.WorkflowID})
		return
	}
	var w *live.Watch
	if err == nil {
		w, err = c.server.cfg.Feed.Watch(c.ctx, r.WorkflowID, r.Since, c.signal)
	}
	if err != nil {
		c.reply(errorFrame{"error", errUpstream, "Redis does not answer; subscribe again a little later", r.WorkflowID})
		return
	}
	c.reply(subscribedFrame{Type: "subscribed", WorkflowID: r.WorkflowID, Since: w.At(), Reset: w.Reset})
	c.mu.Lock()
	c.watches[r.WorkflowID] = w
	c.order = append(c.order, r.WorkflowID)
	c.mu.Unlock()
	c.signal()
}

func (c *session) remove(workflowID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.watches[workflowID]
	if w == nil {
		return
	}
	w.Close()
	delete(c.watches, workflowID)
	for i, id := range c.order {
		if id == workflowID {
			c.order = append(c.order[:i], c.order[i+1:]...)
			break
		}
	}
}

// send writes one frame.
func (c *session) send(kind string, frame any) error {
	raw, ok := frame.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(frame); err != nil {
			c.close("internal", closeInternal, "a frame could not be written")
			return err
		}
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.server.cfg.WriteTimeout)
	defer cancel()
	err := c.conn.Write(ctx, websocket.MessageText, raw)
	switch {
	case err == nil:
		c.server.frames.WithLabelValues(kind).Inc()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		c.drop("write_timeout")
	default:
		c.drop("client")
	}
	return err
}
