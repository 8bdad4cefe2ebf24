package access

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	const none = "(none)"
	loopback := []string(nil)
	public := []string{"bus.example.com", "10.0.0.5:8081"}
	for _, c := range []struct {
		hosts        []string
		host, origin string
		want         int
	}{
		{loopback, "127.0.0.1:8081", none, 200},
		{loopback, "localhost:8081", "http://localhost:8081", 200},
		{loopback, "LOCALHOST:8081", "http://127.0.0.1:8081", 200},
		{loopback, "[::1]:8081", "http://[::1]:8081", 200},
		{loopback, "localhost", none, 421},
		{loopback, "localhost:80", none, 421},
		{loopback, "localhost.:8081", none, 421},
		{loopback, "evil.example:8081", none, 421},
		{loopback, "evil.example:8081", "http://evil.example:8081", 421}, // rebinding
		{loopback, "127.0.0.1.evil.example:8081", none, 421},
		{loopback, "", none, 421},
		{loopback, "127.0.0.1:8081", "http://evil.example", 403},
		{loopback, "127.0.0.1:8081", "null", 403},
		{loopback, "127.0.0.1:8081", "", 403},
		{loopback, "127.0.0.1:8081", "http://localhost:9999", 403},
		{loopback, "127.0.0.1:8081", "http://localhost:8081.evil.example", 403},
		{loopback, "127.0.0.1:8081", "http://localhost:8081@evil.example", 403},
		{loopback, "127.0.0.1:8081", "http://evil.example/localhost:8081", 403},
		{loopback, "127.0.0.1:8081", "file://localhost:8081", 403},
		{loopback, "127.0.0.1:8081", "localhost:8081", 403},
		{public, "bus.example.com", "https://bus.example.com", 200},
		{public, "10.0.0.5:8081", none, 200},
		{public, "10.0.0.5", none, 421},
		{public, "bus.example.com:444", none, 421},
		{public, "xbus.example.com", none, 421},
		{public, "bus.example.com.evil.example", none, 421},
		{public, "127.0.0.1:8081", none, 421},
		{public, "bus.example.com", "https://bus.example.com.evil.example", 403},
	} {
		g, err := NewGuard(c.hosts)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/ws", nil)
		r.Host = c.host
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081})))
		if c.origin != none {
			r.Header["Origin"] = []string{c.origin}
		}
		w := httptest.NewRecorder()
		g.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("hosts %v, Host %q, Origin %q: %d, want %d", c.hosts, c.host, c.origin, w.Code, c.want)
		}
	}
	for _, wrong := range []string{"", "*", "*.example.com", "http://x", "x/y", "u@x", ":80"} {
		if _, err := NewGuard([]string{wrong}); err == nil {
			t.Errorf("%q was accepted as a host", wrong)
		}
	}
}
