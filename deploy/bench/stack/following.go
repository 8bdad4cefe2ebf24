package stack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nhooyr.io/websocket"

	"agentbus/deploy/bench/workload"
)

// clients is how many WebSocket clients follow a workflow each.
const clients = 50

// following follows the events of one load to where they go.
type following struct {
	stack   *Stack
	load    workload.Load
	tracker *workload.Tracker
	count   atomic.Int64
	settled time.Time

	watched map[string]bool
	reading sync.WaitGroup
	end     context.CancelFunc
}

func (f *following) watches(workflowID string) bool { return f.watched[workflowID] }

func (f *following) prefix() string { return f.tracker.Prefix() }

func (f *following) start(ctx context.Context, t *workload.Tracker) error {
	f.tracker, f.watched = t, map[string]bool{}
	reading, end := context.WithCancel(ctx)
	f.end = end
	base := strings.Replace(f.stack.services.URL("websocket-manager", "HTTP_ADDR"), "http", "ws", 1)
	ids := t.Workflows()
	for i := range min(clients, len(ids)) {
		id := ids[i*len(ids)/clients]
		f.watched[id] = true
		conn, response, err := websocket.Dial(ctx, base+"/ws?workflow_id="+id, &websocket.DialOptions{HTTPClient: &http.Client{}})
		if err != nil {
			if response != nil && response.Body != nil {
				_ = response.Body.Close() // err says more
			}
			return err
		}
		conn.SetReadLimit(1 << 20)
		f.reading.Go(func() { f.frames(reading, conn) })
	}
	log, err := os.Open(f.stack.services.Process("log-aggregator-1").Log)
	if err != nil {
		return err
	}
	if _, err := log.Seek(0, io.SeekEnd); err != nil {
		return errors.Join(err, log.Close())
	}
	f.reading.Go(func() { f.lines(reading, log) })
	return nil
}

func (f *following) stop() {
	if f.end != nil {
		f.end()
	}
	f.reading.Wait()
}

func (f *following) frames(ctx context.Context, conn *websocket.Conn) {
	defer func() { _ = conn.CloseNow() }() // nobody listens any more
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return // the end, or frames will be missing
		}
		if n := numberAfter(data, `"id":"`); n >= 0 {
			f.tracker.Handled(frame, n)
		}
	}
}

// lines reads what is added to the log, a thousand times a second.
func (f *following) lines(ctx context.Context, log *os.File) {
	defer func() { _ = log.Close() }() // only read
	var rest []byte
	chunk := make([]byte, 1<<20)
	for {
		n, err := log.Read(chunk)
		now := time.Now()
		rest = append(rest, chunk[:n]...)
		for {
			text, after, whole := bytes.Cut(rest, []byte("\n"))
			if !whole {
				break
			}
			if n := numberAfter(text, `"event_id":"`); n >= 0 {
				f.tracker.HandledAt(line, n, now)
			}
			rest = after
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return // lines will be missing
		}
		if n == len(chunk) {
			continue
		}
		rest = append([]byte(nil), rest...) // the array would only grow
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// numberAfter is the number of the event whose id follows the key, -1 where there is none.
func numberAfter(text []byte, key string) int {
	_, id, ok := bytes.Cut(text, []byte(key))
	if !ok {
		return -1
	}
	return workload.Number(string(id[:min(36, len(id))]))
}
