package chaos

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentbus/pkg/devserver"
)

// proxy stands between a member and its Redis and loses what the test wants lost.
type proxy struct {
	url    string
	target string
	ln     net.Listener
	tried  atomic.Int64 // connections and requests that came

	mu    sync.Mutex
	judge func(request, reply []byte) verdict // nil: everything passes
	down  bool                                // no connection passes
	conns map[net.Conn]struct{}
	done  sync.WaitGroup
}

// verdict is what becomes of a reply.
type verdict int

const (
	pass       verdict = iota
	swallow            // the reply is dropped, the connection stays silent
	disconnect         // the reply is dropped, the connection is closed
)

func newProxy(t testing.TB, srv *devserver.Server) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: "redis://" + ln.Addr().String(), target: strings.TrimPrefix(srv.URL, "redis://"), ln: ln, conns: make(map[net.Conn]struct{})}
	p.done.Go(p.serve)
	t.Cleanup(func() {
		_ = ln.Close()
		p.cut()
		p.done.Wait()
	})
	return p
}

// lose asks judge about each reply, with the request it answers. A reply of
// several packets is judged by its first.
func (p *proxy) lose(judge func(request, reply []byte) verdict) {
	p.mu.Lock()
	p.judge = judge
	p.mu.Unlock()
}

// cut closes every connection and lets none through until heal.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	for c := range p.conns {
		_ = c.Close()
	}
}

// effort is how often somebody came to the proxy.
func (p *proxy) effort() effort { return effort{p.tried.Load(), time.Now()} }

func (p *proxy) heal() {
	p.mu.Lock()
	p.down = false
	p.mu.Unlock()
}

func (p *proxy) serve() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.tried.Add(1)
		p.done.Go(func() { p.carry(client) })
	}
}

// track notes a connection so that cut finds it; false while the proxy is down.
func (p *proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *proxy) forget(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	_ = c.Close()
}

func (p *proxy) carry(client net.Conn) {
	defer p.forget(client)
	if !p.track(client) {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.forget(server)
	if !p.track(server) {
		return
	}
	link := &link{proxy: p}
	var both sync.WaitGroup
	both.Go(func() {
		_ = link.copy(server, client, link.request)
		_ = server.Close()
	})
	_ = link.copy(client, server, link.reply)
	_ = client.Close()
	both.Wait()
}

// link is one connection's state: the latest request and what becomes of its reply.
type link struct {
	proxy *proxy
	mu    sync.Mutex
	asked []byte
	fresh bool // no reply to it was seen yet
	fate  verdict
}

func (l *link) request(data []byte) verdict {
	l.proxy.tried.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.fresh = append([]byte(nil), data...), true
	return pass
}

func (l *link) reply(data []byte) verdict {
	l.proxy.mu.Lock()
	judge := l.proxy.judge
	l.proxy.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fresh {
		l.fresh, l.fate = false, pass
		if judge != nil {
			l.fate = judge(l.asked, data)
		}
	}
	return l.fate
}

func (l *link) copy(to io.Writer, from io.Reader, look func([]byte) verdict) error {
	buf := make([]byte, 256<<10) // a request comes in one piece
	for {
		n, err := from.Read(buf)
		if n > 0 {
			switch look(buf[:n]) {
			case disconnect:
				return io.EOF
			case swallow:
			default:
				if _, err := to.Write(buf[:n]); err != nil {
					return err
				}
			}
		}
		if err != nil {
			return err
		}
	}
}
