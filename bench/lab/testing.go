// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
)

// What follows is for tests. A failure ends the test, and what is started ends with it.

// Need skips a test if it lacks root or a program. "iptables|nft" means that either will
// do.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	if why := Needs(programs...); why != "" {
		t.Skip(why)
	}
}

// OK ends the test if there is an error. Such an error comes from the test, not from the wall.
func OK(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// OpenRaw opens a sender of raw packets on a host.
func OpenRaw(t testing.TB, h *Host) *Raw {
	t.Helper()
	r, err := h.OpenRaw()
	OK(t, err)
	t.Cleanup(r.Close)
	return r
}

// ForTest makes a lab that ends with the test.
func ForTest(t testing.TB, cfg Config) *Lab {
	t.Helper()
	t.TempDir() // so that the test's folder is removed after the programs in the lab have ended
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Program returns the path of the program. It builds the program at most once.
func Program(t testing.TB) string {
	t.Helper()
	suite.once.Do(func() { suite.bin, suite.err = BuildWall(suite.dir) })
	if suite.err != nil {
		t.Fatal(suite.err)
	}
	return suite.bin
}

// Background runs a function until stop is called or the test ends.
func Background(t testing.TB, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// Complete checks that the recorder missed no packet.
func (r *Recorder) Complete(t testing.TB) {
	t.Helper()
	if n := r.Dropped(); n > 0 {
		t.Errorf("the recorder missed %d packets: what it shows proves nothing", n)
	}
}

// Serve accepts TCP connections at an address of a host. It closes each when serve
// returns.
func Serve(t testing.TB, h *Host, at netip.AddrPort, serve func(net.Conn)) {
	t.Helper()
	l, err := h.ListenTCP(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go Accept(l, serve)
}

// ServeHTTP runs a web server at an address of a host.
func ServeHTTP(t testing.TB, h *Host, at netip.AddrPort, handler http.Handler) {
	t.Helper()
	l, err := h.ListenTCP(at)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	t.Cleanup(func() { server.Close() })
	go server.Serve(l)
}

// ServeUDP sends back each datagram that comes to an address of a host.
func ServeUDP(t testing.TB, h *Host, at netip.AddrPort) {
	t.Helper()
	u, err := h.ListenUDP(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	go EchoUDP(u)
}

// Echo sends back what comes on a connection.
func Echo(c net.Conn) { io.Copy(c, c) }

// Silent reads a connection to its end and never answers.
func Silent(c net.Conn) { io.Copy(io.Discard, c) }

// Any is a port at all addresses of a host.
func Any(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.Addr{}, port) }
