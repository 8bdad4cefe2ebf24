package wsbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"nhooyr.io/websocket"
)

// crowd is many connections and what their readers have seen.
type crowd struct {
	reading sync.WaitGroup
	stop    context.CancelFunc

	mu     sync.Mutex
	conns  []*websocket.Conn
	took   []time.Duration
	broken int
}

// dialers is how many connections are made at the same time.
const dialers = 32

// dial connects n clients, client i to workflow i modulo workflows, and reads with all but the first deaf
// ones, whose buffers are small, so that the server notices.
func dial(ctx context.Context, base string, n, workflows, deaf int) (*crowd, error) {
	reading, stop := context.WithCancel(ctx)
	c := &crowd{stop: stop}
	next := make(chan int)
	failed := make(chan error, dialers)
	var dialing sync.WaitGroup
	for range dialers {
		dialing.Go(func() {
			for i := range next {
				if err := c.add(ctx, reading, fmt.Sprintf("%s/ws?workflow_id=%s", base, workflow(i%workflows)), i < deaf); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var err error
	for i := 0; i < n && err == nil; i++ {
		select {
		case next <- i:
		case err = <-failed:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	close(next)
	dialing.Wait()
	if err == nil && len(failed) > 0 {
		err = <-failed
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *crowd) add(ctx, reading context.Context, url string, deaf bool) error {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok && deaf {
			err = tcp.SetReadBuffer(4 << 10)
		}
		return conn, err
	}}
	dialing, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, response, err := websocket.Dial(dialing, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		if response != nil && response.Body != nil {
			_ = response.Body.Close() // err says more
		}
		return err
	}
	conn.SetReadLimit(1 << 20)
	c.mu.Lock()
	c.conns = append(c.conns, conn)
	c.mu.Unlock()
	if deaf {
		return nil
	}
	live := make(chan error, 1)
	c.reading.Go(func() { c.read(reading, conn, live) })
	select {
	case err = <-live:
		return err
	case <-dialing.Done():
		return errors.New("a client was not told that it is live")
	}
}

// read notes how old each event is, and tells once when it has been told that nothing older is missing.
func (c *crowd) read(ctx context.Context, conn *websocket.Conn, live chan<- error) {
	for {
		_, frame, err := conn.Read(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.mu.Lock()
				c.broken++
				c.mu.Unlock()
			}
			live <- err
			return
		}
		now := time.Now()
		if bytes.HasPrefix(frame, []byte(`{"type":"live"`)) {
			live <- nil
			live = make(chan error, 1) // nobody waits for it any more
			continue
		}
		if at, ok := timestamp(frame); ok {
			c.mu.Lock()
			c.took = append(c.took, now.Sub(at))
			c.mu.Unlock()
		}
	}
}

// timestamp finds an event's time without decoding the frame, which would be most of what is measured.
func timestamp(frame []byte) (time.Time, bool) {
	_, rest, ok := bytes.Cut(frame, []byte(`"timestamp":"`))
	text, _, closed := bytes.Cut(rest, []byte(`"`))
	if !ok || !closed {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	return at, err == nil
}

// quantiles are of all frames since the last call.
func (c *crowd) quantiles() Latency {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := Latency{Frames: len(c.took), Broken: c.broken}
	if len(c.took) == 0 {
		return l
	}
	slices.Sort(c.took)
	at := func(q float64) time.Duration { return c.took[int(q*float64(len(c.took)-1))] }
	l.P50, l.P99, l.P999, l.Max = at(.5), at(.99), at(.999), at(1)
	c.took = nil
	return l
}

func (c *crowd) close() {
	c.stop()
	for _, conn := range c.conns {
		_ = conn.CloseNow()
	}
	c.reading.Wait()
}
