package ws

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"nhooyr.io/websocket"
)

const (
	// spread is over how long the clients of a replica that leaves are asked to come back.
	spread = 3 * time.Second
	// goodbye is how long the hint before a close frame may take.
	goodbye = time.Second
)

// keep pings, so that the connection is not dropped as idle and one that is dead is found, and ends it
// when the server leaves or the client's token expires. These are timers: a goroutine that waits would be
// a stack more for each of ten thousand idle clients. release stops them.
func (c *session) keep() (release func()) {
	stop := []func() bool{context.AfterFunc(c.server.draining, c.leave)}
	if !c.who.Expires.IsZero() {
		stop = append(stop, time.AfterFunc(time.Until(c.who.Expires), c.expire).Stop)
	}
	c.mu.Lock() // the first ping may come before this returns
	c.beat = time.AfterFunc(c.server.cfg.PingEvery, c.ping)
	stop = append(stop, c.beat.Stop)
	c.mu.Unlock()
	return func() {
		c.mu.Lock() // not between a ping and its next one
		defer c.mu.Unlock()
		for _, f := range stop {
			f()
		}
	}
}

func (c *session) ping() {
	ctx, cancel := context.WithTimeout(c.ctx, c.server.cfg.PingEvery)
	defer cancel()
	if err := c.conn.Ping(ctx); err != nil {
		c.drop("ping_timeout")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() == nil {
		c.beat.Reset(c.server.cfg.PingEvery)
	}
}

func (c *session) expire() {
	c.close("expired", closeExpired, "the token has expired: connect again with a new one")
}

// leave tells the client to come back to another replica, and when. One that does not answer is dropped
// when the server's time for it is over.
func (c *session) leave() {
	ctx, cancel := context.WithTimeout(c.ctx, goodbye)
	defer cancel()
	hint, _ := json.Marshal(leavingFrame{"leaving", rand.Int64N(spread.Milliseconds())}) // always can
	_ = c.conn.Write(ctx, websocket.MessageText, hint)                                   // a hint only
	stop := context.AfterFunc(c.server.cutting, func() { _ = c.conn.CloseNow() })
	defer stop()
	c.close("leaving", closeLeaving, "the server is shutting down: connect again")
}
