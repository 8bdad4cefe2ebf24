package access

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Guard refuses requests whose Host or Origin is not on the list, before anything else looks at them. A
// page of an attacker can make a browser connect here under the attacker's own name (DNS rebinding); a
// WebSocket library that compares Origin with Host lets it in, since they are equal.
type Guard struct {
	hosts map[string]bool // host:port, or host for the default port, in lower case
}

// NewGuard allows these hosts, each host:port or, behind a proxy on port 80 or 443, host. An empty list
// allows the loopback names with the port that was connected to.
func NewGuard(hosts []string) (*Guard, error) {
	g := &Guard{hosts: map[string]bool{}}
	for _, h := range hosts {
		h = strings.ToLower(strings.TrimSpace(h))
		u, err := url.Parse("//" + h)
		if h == "" || err != nil || u.Host != h || u.Hostname() == "" || strings.Contains(h, "*") {
			return nil, fmt.Errorf("%q: must be host or host:port, such as agentbus.example.com or 10.0.0.5:8081", h)
		}
		g.hosts[h] = true
	}
	return g, nil
}

// Wrap puts the guard before next.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.allows(r, r.Host) {
			Problem(w, http.StatusMisdirectedRequest, fmt.Sprintf("Host %.100q is not allowed here; the server's ALLOWED_HOSTS lists those that are", r.Host))
			return
		}
		if origins, sent := r.Header["Origin"]; sent && (len(origins) != 1 || !g.allowsOrigin(r, origins[0])) {
			Problem(w, http.StatusForbidden, fmt.Sprintf("Origin %.100q is not allowed here; the server's ALLOWED_HOSTS lists those that are", origins))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowsOrigin wants scheme://host and nothing else; "null" (sandboxed frames, files) is nobody.
func (g *Guard) allowsOrigin(r *http.Request, origin string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok || (scheme != "http" && scheme != "https") || strings.ContainsAny(host, "/?#@\\ ") {
		return false
	}
	return g.allows(r, host)
}

func (g *Guard) allows(r *http.Request, host string) bool {
	host = strings.ToLower(host)
	if len(g.hosts) > 0 {
		return g.hosts[host]
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	_, mine, err := net.SplitHostPort(local.String())
	return err == nil && port == mine && (name == "localhost" || name == "127.0.0.1" || name == "::1")
}
