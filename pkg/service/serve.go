package service

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Limits on slow clients. A handler that streams longer than writeTimeout extends it with
// http.ResponseController; hijacked connections (WebSocket) have no deadline of the server's.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Serve runs an HTTP server on addr until ctx ends, then lets requests in hand finish for at most half
// of SHUTDOWN_GRACE and returns nil, or an error when it had to cut some off. setting is the
// environment variable the address came from, such as "HTTP_ADDR": errors name it.
//
// Requests have contexts of their own that do not end with ctx, so work in hand is not interrupted.
// Upgraded WebSocket connections are not known to the server: their handler closes them when ctx ends.
func (rt *Runtime) Serve(ctx context.Context, setting, addr string, handler http.Handler) error {
	l, err := listen(ctx, setting, addr)
	if err != nil {
		return err
	}
	return rt.serve(ctx, setting, l, handler)
}

func (rt *Runtime) serve(ctx context.Context, setting string, l net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          stdlog.New(rt.Log.With().Str("setting", setting).Logger(), "", 0),
	}
	rt.mu.Lock()
	rt.addrs[setting] = l.Addr().String()
	rt.mu.Unlock()
	rt.Log.Info().Str("setting", setting).Stringer("addr", l.Addr()).Msg("listening")

	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("%s: serve on %s: %w", setting, l.Addr(), err)
	case <-ctx.Done():
	}
	// Not derived from ctx, which has just ended.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), rt.grace/2)
	defer cancel()
	err := server.Shutdown(drain)
	if err != nil {
		err = errors.Join(fmt.Errorf("%s: requests cut off after %s of draining: %w", setting, rt.grace/2, err), server.Close())
	}
	if ended := <-ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// listen names the setting to change when the address cannot be had.
func listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s=%s: the address is taken by another process: stop that one or set %s to a free one: %w", setting, addr, setting, err)
	default:
		return nil, fmt.Errorf("%s=%s: cannot listen, it must be host:port of this machine, such as 127.0.0.1:9080: %w", setting, addr, err)
	}
}
