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
// when the server leaves or the client's token expires.
func (c *session) keep() {
	every := c.server.cfg.PingEvery
	tick := time.NewTicker(every)
	defer tick.Stop()
	var expired <-chan time.Time
	if !c.who.Expires.IsZero() {
		timer := time.NewTimer(time.Until(c.who.Expires))
		defer timer.Stop()
		expired = timer.C
	}
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.server.draining:
			c.leave()
			return
		case <-expired:
			c.close("expired", closeExpired, "the token has expired: connect again with a new one")
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(c.ctx, every)
		err := c.conn.Ping(ctx)
		cancel()
		if err != nil {
			c.drop("ping_timeout")
			return
		}
	}
}

// leave tells the client to come back to another replica, and when. One that does not answer is dropped
// when the server's time for it is over.
func (c *session) leave() {
	ctx, cancel := context.WithTimeout(c.ctx, goodbye)
	defer cancel()
	hint, _ := json.Marshal(leavingFrame{"leaving", rand.Int64N(spread.Milliseconds())}) // always can
	_ = c.conn.Write(ctx, websocket.MessageText, hint)                                   // a hint only
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		select {
		case <-c.server.cutting:
			_ = c.conn.CloseNow()
		case <-gone:
		}
	}()
	c.close("leaving", closeLeaving, "the server is shutting down: connect again")
}
