// Package ws is the live view's WebSocket: the only one that knows the WebSocket library. PROTOCOL.md
// beside it is what clients are written against.
//
// Per connection: one goroutine reads requests, one writes; pings come from a timer. The writer pulls
// from its watches, so that a connection holds no queue of events at all: what it was not told yet stays
// in the hub's ring, which all share, or in Redis.
package ws

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"nhooyr.io/websocket"

	"agentbus/services/websocket-manager/door"
	"agentbus/services/websocket-manager/live"
)

// Config of a [Server]. The zero value of each limit is its default.
type Config struct {
	Feed   *live.Feed
	Door   *door.Door
	Member string // which replica, for the hello frame
	// Metrics may be nil.
	Metrics prometheus.Registerer

	MaxClients        int            // connections at once; 10000
	MaxPerAddress     int            // of one client address; 1000
	UpgradesPerSecond int            // new connections; 500, and twice that at once
	TrustedProxies    []netip.Prefix // whose X-Forwarded-For names the client's address
	MaxSubscriptions  int            // of one connection; 64
	MaxLag            int64          // events a client may be behind after it had caught up and took long over a page, see live.Watch; 1000
	WriteTimeout      time.Duration  // for one frame; 10 s
	PingEvery         time.Duration  // and the same again for the answer; 20 s
}

func (c Config) withDefaults() Config {
	if c.MaxClients == 0 {
		c.MaxClients = 10_000
	}
	if c.MaxPerAddress == 0 {
		c.MaxPerAddress = 1000
	}
	if c.UpgradesPerSecond == 0 {
		c.UpgradesPerSecond = 500
	}
	if c.MaxSubscriptions == 0 {
		c.MaxSubscriptions = 64
	}
	if c.MaxLag == 0 {
		c.MaxLag = 1000
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 10 * time.Second
	}
	if c.PingEvery == 0 {
		c.PingEvery = 20 * time.Second
	}
	return c
}

// maxRequestBytes is more than any request needs.
const maxRequestBytes = 4 << 10

// Server upgrades connections and serves them until [Server.Drain].
type Server struct {
	cfg      Config
	crowd    *crowd
	draining context.Context // ends: say goodbye
	drain    context.CancelFunc
	cutting  context.Context // ends: there was time enough for it
	cut      context.CancelFunc

	mu       sync.Mutex
	sessions sync.WaitGroup // Add under mu and only while not draining

	connected prometheus.Gauge
	frames    *prometheus.CounterVec
	closed    *prometheus.CounterVec
}

// New makes a Server. The feed stays the caller's and must outlive it.
func New(cfg Config) *Server {
	f := promauto.With(cfg.Metrics)
	cfg = cfg.withDefaults()
	draining, drain := context.WithCancel(context.Background())
	cutting, cut := context.WithCancel(context.Background())
	return &Server{
		cfg: cfg, crowd: newCrowd(cfg), draining: draining, drain: drain, cutting: cutting, cut: cut,
		connected: f.NewGauge(prometheus.GaugeOpts{Name: "agentbus_ws_clients", Help: "Open WebSocket connections."}),
		frames: f.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_ws_frames_total",
			Help: "Frames sent, by type: event, gap, rows, control."}, []string{"type"}),
		closed: f.NewCounterVec(prometheus.CounterOpts{Name: "agentbus_ws_closed_total",
			Help: "Connections that ended, by why: client, slow, write_timeout, ping_timeout, bad_frame, expired, leaving, internal."}, []string{"why"}),
	}
}

// ServeHTTP upgrades GET /ws. What is wrong with the request is answered with HTTP, before the upgrade.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first, err := requestOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	leave, full := s.crowd.enter(r)
	if full != nil {
		w.Header().Set("Retry-After", strconv.Itoa(1+rand.IntN(5))) // not all at once
		http.Error(w, full.Error(), full.status)
		return
	}
	defer leave()
	who, err := s.cfg.Door.Enter(r)
	if err != nil {
		door.Refuse(w, err)
		return
	}
	if !s.begin() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "this server is shutting down", http.StatusServiceUnavailable)
		return
	}
	defer s.sessions.Done()

	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		// access.Guard has checked Host and Origin against the list, which is stricter: the library takes any
		// Origin that equals Host.
		InsecureSkipVerify: true,
	})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(maxRequestBytes)
	s.connected.Inc()
	defer s.connected.Dec()
	c := newSession(s, conn, who)
	why := c.serve(first)
	s.closed.WithLabelValues(why).Inc()
}

// begin counts a session in, unless the server drains.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Err() != nil {
		return false
	}
	s.sessions.Add(1)
	return true
}

// StartDrain closes all connections at once with 1001 and takes no new ones. It does not wait.
func (s *Server) StartDrain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drain()
}

// Drain does what StartDrain does and waits for the clients until ctx ends, then drops those that have not
// answered: [http.Server.Shutdown] knows nothing of upgraded connections.
func (s *Server) Drain(ctx context.Context) {
	s.StartDrain()
	done := make(chan struct{})
	go func() {
		s.sessions.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.cut()
		<-done
	}
}

// requestOf reads the subscription a connection begins with out of its URL; a zero request when it names
// none.
func requestOf(r *http.Request) (request, error) {
	q := r.URL.Query()
	for name, values := range q {
		if name != "workflow_id" && name != "since" && name != "list" && name != "ticket" {
			return request{}, fmt.Errorf("parameter %.40q is unknown; known are workflow_id, since, list, ticket", name)
		}
		if len(values) > 1 {
			return request{}, fmt.Errorf("parameter %s stands there %d times; send a subscribe frame for each further workflow", name, len(values))
		}
	}
	var first request
	if !q.Has("workflow_id") && !q.Has("list") {
		return first, nil
	}
	first = request{Type: "subscribe", WorkflowID: q.Get("workflow_id")}
	switch q.Get("list") {
	case "", "0":
	case "1":
		first.List = true
	default:
		return first, fmt.Errorf("list: %.40q is neither 0 nor 1", q.Get("list"))
	}
	if text := q.Get("since"); text != "" {
		var err error
		if first.Since, err = strconv.ParseInt(text, 10, 64); err != nil {
			return first, fmt.Errorf("since: %.40q is no number", text)
		}
	}
	return first, first.validate()
}
