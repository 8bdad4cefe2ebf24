package ws

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func requestFrom(remote string, forwarded ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	r.RemoteAddr = remote
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	return r
}

// TestAddress: what a client writes into X-Forwarded-For itself is not believed.
func TestAddress(t *testing.T) {
	t.Parallel()
	c := newCrowd(Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}.withDefaults())
	for _, tc := range []struct {
		request *http.Request
		want    string
	}{
		{requestFrom("192.0.2.1:5"), "192.0.2.1"},
		{requestFrom("192.0.2.1:5", "198.51.100.7"), "192.0.2.1"},
		{requestFrom("10.1.1.1:5"), "10.1.1.1"},
		{requestFrom("10.1.1.1:5", "198.51.100.7"), "198.51.100.7"},
		{requestFrom("10.1.1.1:5", "203.0.113.9, 198.51.100.7"), "198.51.100.7"},
		{requestFrom("10.1.1.1:5", "203.0.113.9", "198.51.100.7, 10.2.2.2"), "198.51.100.7"},
		{requestFrom("10.1.1.1:5", "198.51.100.7, nonsense"), "10.1.1.1"},
		{requestFrom("[fd00::1]:5", "2001:db8::7"), "2001:db8::7"},
		{requestFrom("[::ffff:10.1.1.1]:5", "198.51.100.7"), "198.51.100.7"},
	} {
		if got := c.address(tc.request); got.String() != tc.want {
			t.Errorf("%s, forwarded for %q: %s, want %s", tc.request.RemoteAddr, tc.request.Header["X-Forwarded-For"], got, tc.want)
		}
	}
}

func TestCrowd(t *testing.T) {
	t.Parallel()
	c := newCrowd(Config{MaxClients: 3, MaxPerAddress: 2, UpgradesPerSecond: 1000}.withDefaults())
	var leave []func()
	enter := func(addr string, want int) {
		t.Helper()
		l, full := c.enter(requestFrom(addr + ":1"))
		if got := map[bool]int{true: http.StatusOK}[full == nil]; full != nil && full.status != want || full == nil && got != want {
			t.Errorf("%s: %v, want %d", addr, full, want)
		}
		if l != nil {
			leave = append(leave, l)
		}
	}
	enter("192.0.2.1", 200)
	enter("192.0.2.1", 200)
	enter("192.0.2.1", 429)
	enter("192.0.2.2", 200)
	enter("192.0.2.3", 503)
	leave[0]()
	enter("192.0.2.1", 200)
	for _, l := range leave[1:] {
		l()
	}
	if c.clients != 0 || len(c.addresses) != 0 {
		t.Errorf("%d clients of %v after all have left", c.clients, c.addresses)
	}
	slow := newCrowd(Config{UpgradesPerSecond: 1}.withDefaults())
	refused := 0
	for range 10 {
		if _, full := slow.enter(requestFrom("192.0.2.1:1")); full != nil {
			refused++
		}
	}
	if refused < 7 || refused > 8 {
		t.Errorf("%d of 10 upgrades at once were refused at one a second and twice that at once", refused)
	}
}
