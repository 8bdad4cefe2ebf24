package devserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Free ports are taken from below the range the kernel gives to outgoing connections (from 32768), so
// that a server that was killed finds its port free when it is started again.
const (
	firstFreePort = 20000
	endFreePort   = 32000
	portAttempts  = 50
)

// choosePort checks that the wanted port is free, or picks a free one for 0.
func choosePort(wanted int) (int, error) {
	if wanted != 0 {
		if err := tryPort(wanted); err != nil {
			return 0, fmt.Errorf("port %d of 127.0.0.1 is taken by another process: stop that one or choose another port: %w", wanted, err)
		}
		return wanted, nil
	}
	var err error
	for range portAttempts {
		port := firstFreePort + rand.IntN(endFreePort-firstFreePort)
		if err = tryPort(port); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d: %w", firstFreePort, endFreePort, err)
}

func tryPort(port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}

// onPort starts a server on the wanted port. A port it picked itself may be gone by the time the
// server binds it; then it tries others.
func onPort(wanted int, start func(port int) (*Server, error)) (*Server, error) {
	for attempt := 1; ; attempt++ {
		port, err := choosePort(wanted)
		if err != nil {
			return nil, err
		}
		s, err := start(port)
		if err == nil || wanted != 0 || attempt == 3 || tryPort(port) == nil {
			return s, err
		}
	}
}
