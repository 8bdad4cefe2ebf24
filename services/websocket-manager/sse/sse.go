// Package sse is the live view as Server-Sent Events, for curl and EventSource:
//
//	GET /v1/workflows/{id}/events      Last-Event-ID: 41, or ?since=41
//
//	id: 42
//	data: {"type":"event","workflow_id":"wf-1","seq":42,"event":{...}}
//
// The data are the frames event, gap and live of ws/PROTOCOL.md. The id is the last number told, gaps
// included, so that a client that comes back by itself goes on where it was.
package sse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"agentbus/pkg/access"
	"agentbus/services/websocket-manager/door"
	"agentbus/services/websocket-manager/live"
)

// Config of a [Server]; all fields but Metrics are needed.
type Config struct {
	Feed         *live.Feed
	Door         *door.Door
	Draining     <-chan struct{} // closed: clients are sent to another replica
	WriteTimeout time.Duration   // for one write; a client that takes nothing for so long is dropped
	PingEvery    time.Duration   // pause between comments, which keep proxies from dropping the connection
	MaxLag       int64           // events a client may be behind after it had caught up
	Metrics      prometheus.Registerer
}

// Server serves streams.
type Server struct {
	cfg     Config
	clients prometheus.Gauge
}

// New makes a Server. Feed and door stay the caller's.
func New(cfg Config) *Server {
	return &Server{cfg, promauto.With(cfg.Metrics).NewGauge(prometheus.GaugeOpts{
		Name: "agentbus_sse_clients", Help: "Open Server-Sent Events streams."})}
}

// ServeHTTP streams the workflow of the path until the client goes, its token expires or the server leaves.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, err := s.cfg.Door.Enter(r)
	if err != nil {
		door.Refuse(w, err)
		return
	}
	since, err := sinceOf(r)
	if err != nil {
		access.Problem(w, http.StatusBadRequest, err.Error())
		return
	}
	id := r.PathValue("id")
	switch err = s.cfg.Door.Check(r.Context(), who, id); {
	case errors.Is(err, door.ErrUnknown):
		access.Problem(w, http.StatusNotFound, err.Error())
		return
	case err != nil:
		access.Problem(w, http.StatusServiceUnavailable, "Redis does not answer")
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if !who.Expires.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, who.Expires)
		defer cancel()
	}
	woken := make(chan struct{}, 1)
	watch, err := s.cfg.Feed.Watch(ctx, id, since, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	if err != nil {
		access.Problem(w, http.StatusServiceUnavailable, "Redis does not answer")
		return
	}
	defer watch.Close()
	s.clients.Inc()
	defer s.clients.Dec()

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	st := &stream{w: w, rc: http.NewResponseController(w), timeout: s.cfg.WriteTimeout}
	st.err = st.rc.SetReadDeadline(time.Time{})                                   // the server's would end the request after half a minute
	st.printf(": agentbus, workflow %s\nretry: %d\n\n", id, 1000+rand.IntN(2000)) // ms, spread
	s.follow(ctx, st, watch, id, woken)
}

func (s *Server) follow(ctx context.Context, st *stream, watch *live.Watch, id string, woken <-chan struct{}) {
	ping := time.NewTicker(s.cfg.PingEvery)
	defer ping.Stop()
	if watch.Reset {
		st.frame(0, map[string]any{"type": "reset", "workflow_id": id})
	}
	for st.err == nil {
		began := time.Now()
		items, caughtUp, err := watch.Next(ctx)
		for _, it := range items {
			if it.Gap() {
				st.frame(it.To, map[string]any{"type": "gap", "workflow_id": id, "from": it.From, "to": it.To})
			} else {
				st.printf("id: %d\ndata: %s\n\n", it.To, it.Frame)
			}
		}
		if caughtUp {
			st.frame(watch.At(), map[string]any{"type": "live", "workflow_id": id, "seq": watch.At()})
		}
		st.flush()
		if watch.Slow(began, s.cfg.MaxLag) {
			return // it comes back by itself and is served from where it was
		}
		if len(items) > 0 {
			continue
		}
		var again <-chan time.Time
		if err != nil {
			again = time.After(time.Second)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.cfg.Draining:
			return
		case <-woken:
		case <-again:
		case <-ping.C:
			st.printf(": still here\n\n")
			st.flush()
		}
	}
}

// sinceOf is the number the client has seen last: Last-Event-ID, which EventSource sends when it comes
// back, goes before the address, which stays the same.
func sinceOf(r *http.Request) (int64, error) {
	name, text := "Last-Event-ID", r.Header.Get("Last-Event-ID")
	if text == "" {
		name, text = "since", r.URL.Query().Get("since")
	}
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: %.40q is no number from 0", name, text)
	}
	return n, nil
}

// stream writes, each write under a deadline of its own; after an error it writes nothing more.
type stream struct {
	w       io.Writer
	rc      *http.ResponseController
	timeout time.Duration
	err     error
}

func (s *stream) printf(format string, args ...any) {
	if s.err != nil {
		return
	}
	if s.err = s.rc.SetWriteDeadline(time.Now().Add(s.timeout)); s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format, args...)
	}
}

func (s *stream) frame(id int64, frame any) {
	raw, err := json.Marshal(frame)
	if err != nil {
		s.err = err
		return
	}
	s.printf("id: %d\ndata: %s\n\n", id, raw)
}

func (s *stream) flush() {
	if s.err == nil {
		s.err = s.rc.Flush()
	}
}
