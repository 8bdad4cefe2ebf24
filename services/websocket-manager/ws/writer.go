package ws

import (
	"time"

	"agentbus/services/websocket-manager/live"
)

// retryEvery is the pause after Redis did not answer a client that reads the past.
const retryEvery = time.Second

// write pulls what there is to tell and writes it, until the connection ends.
func (c *session) write() {
	for {
		more, err := c.turn()
		if err != nil {
			return
		}
		if more {
			continue
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		}
	}
}

// turn writes all answers, the list's changes and a page of each workflow. more says that some workflow
// has another page.
func (c *session) turn() (more bool, err error) {
	c.mu.Lock()
	replies, list := c.replies, c.list
	c.replies = nil
	watches := make([]*live.Watch, 0, len(c.order))
	ids := append([]string(nil), c.order...)
	for _, id := range ids {
		watches = append(watches, c.watches[id])
	}
	c.mu.Unlock()

	for _, r := range replies {
		if err := c.send("control", r); err != nil {
			return false, err
		}
	}
	if list != nil {
		if rows, snapshot, ok := list.Next(); ok && (snapshot || len(rows) > 0) {
			if err := c.send("rows", rowsFrame{"rows", snapshot, rows}); err != nil {
				return false, err
			}
		}
	}
	for i, w := range watches {
		wrote, err := c.page(ids[i], w)
		if err != nil {
			return false, err
		}
		more = more || wrote
	}
	return more, nil
}

// page writes what comes next of one workflow.
func (c *session) page(id string, w *live.Watch) (wrote bool, err error) {
	began := time.Now()
	items, caughtUp, err := w.Next(c.ctx)
	if err != nil { // Redis: the client keeps its place and is served when it answers again
		time.AfterFunc(retryEvery, c.signal)
		return false, nil //nolint:nilerr // waited out, see above
	}
	for _, it := range items {
		if it.Gap() {
			err = c.send("gap", gapFrame{"gap", id, it.From, it.To})
		} else {
			err = c.send("event", it.Frame)
		}
		if err != nil {
			return false, err
		}
	}
	if caughtUp {
		err = c.send("control", liveFrame{"live", id, w.At()})
	}
	if err == nil && w.Slow(began, c.server.cfg.MaxLag) {
		c.close("slow", closeSlow, "too slow: connect again with the last number seen")
		return false, errSlow
	}
	return len(items) > 0, err
}
