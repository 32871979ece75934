// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// sessionBefore: a host has sessions with addresses that only later turn out to be peers.
// By then the wall has already passed these sessions.
func sessionBefore(e *env) {
	h := e.lab.Clients[0]
	peers := []netip.AddrPort{e.lab.Peers[0], e.lab.Peers6[0]}
	var sessions []net.Conn
	for _, p := range peers {
		sessions = append(sessions, e.session(h, netip.AddrPortFrom(p.Addr(), 7777)))
	}
	// A session with an address that never becomes a peer: no supernode has it.
	other := e.session(h, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.210"), 7777))
	for _, c := range append(sessions, other) {
		for range 60 { // more packets than the wall looks at
			if !e.must(echoes(c), "%s: the session ended by itself", c.RemoteAddr()) {
				return
			}
		}
	}
	ping := append([]byte{0x27, 0, 0, 0, 0xa9, 0x80}, "KaZaA\x00"...)
	for i, local := range []netip.Addr{h.Addr4, h.Addr6} {
		u, err := h.ListenUDP(netip.AddrPortFrom(local, 1214))
		if !e.must(err == nil, "%v", err) {
			return
		}
		defer u.Close()
		_, err = u.WriteToUDPAddrPort(ping, peers[i])
		e.must(err == nil, "ping: %v", err)
	}
	if e.wall != nil {
		e.until("the peers", func() bool { s, err := e.wall.Client(h); return err == nil && s.Peers == len(peers) })
	}
	for _, c := range sessions {
		ended := false
		for until := time.Now().Add(5 * time.Second); !ended && time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
			ended = !echoes(c)
		}
		e.must(ended, "%s: the session with a peer goes on", c.RemoteAddr())
	}
	e.must(echoes(other), "%s: the session with somebody else ended", other.RemoteAddr())
}

// session opens a connection without any known protocol to an echo server.
func (e *env) session(h *lab.Host, to netip.AddrPort) net.Conn {
	e.t.Helper()
	lab.Serve(e.t, e.lab.Inet, to, lab.Echo)
	c, err := dial(h, "tcp", to)
	e.ok(err)
	e.t.Cleanup(func() { c.Close() })
	return c
}

// echoes reports whether the other side echoes on a connection. After a failure the
// connection cannot be used again.
func echoes(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Write([]byte{0xff, 1, 2, 3}); err != nil {
		return false
	}
	_, err := io.ReadFull(c, make([]byte, 4))
	return err == nil
}
