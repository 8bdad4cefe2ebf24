package ws

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/time/rate"
)

// crowd bounds connections: of the process, of one address, and how fast new ones come.
type crowd struct {
	most, perAddress int
	proxies          []netip.Prefix
	rate             *rate.Limiter

	mu        sync.Mutex
	clients   int
	addresses map[netip.Addr]int
}

func newCrowd(c Config) *crowd {
	return &crowd{most: c.MaxClients, perAddress: c.MaxPerAddress, proxies: c.TrustedProxies,
		rate: rate.NewLimiter(rate.Limit(c.UpgradesPerSecond), 2*c.UpgradesPerSecond), addresses: map[netip.Addr]int{}}
}

// crowded says why nobody more is let in, and with which HTTP status.
type crowded struct {
	status int
	says   string
}

func (e *crowded) Error() string { return e.says }

// enter counts a client in; leave counts it out again.
func (c *crowd) enter(r *http.Request) (leave func(), full *crowded) {
	addr := c.address(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.clients >= c.most:
		return nil, &crowded{http.StatusServiceUnavailable, fmt.Sprintf("this server has %d clients already, its WS_MAX_CLIENTS", c.most)}
	case c.addresses[addr] >= c.perAddress:
		return nil, &crowded{http.StatusTooManyRequests, fmt.Sprintf("%s has %d connections already, the server's WS_MAX_PER_ADDRESS", addr, c.perAddress)}
	case !c.rate.Allow():
		return nil, &crowded{http.StatusServiceUnavailable, "too many clients connect at this moment, see WS_UPGRADES_PER_SECOND"}
	}
	c.clients++
	c.addresses[addr]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.clients--
		if c.addresses[addr]--; c.addresses[addr] == 0 {
			delete(c.addresses, addr)
		}
	}, nil
}

// address is the client's: the last one in X-Forwarded-For that is no proxy of ours, as long as each hop
// that added one is. What stands further left was written by the client itself.
func (c *crowd) address(r *http.Request) netip.Addr {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	addr, _ := netip.ParseAddr(host)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !c.trusts(addr) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		addr = next
	}
	return addr.Unmap()
}

func (c *crowd) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(c.proxies, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}
