// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// Internet is everything beyond the router: supernodes on all addresses, the transfer
// server, and ordinary servers. Each server answers from the address that the request was
// sent to.
type Internet struct {
	ns *netns.Namespace

	// Silent makes supernodes ignore pings.
	Silent atomic.Bool
	// Busy makes supernodes answer pings with 0x29, no room.
	Busy atomic.Bool

	mu       sync.Mutex
	sessions []*session
	conns    map[net.Conn]bool
	pings    map[netip.Addr]int
	closed   bool
	names    Names

	closers []func() error
	running sync.WaitGroup
}

// Session is one TCP connection as a supernode or transfer server saw it.
type Session struct {
	Client, Server netip.AddrPort
	Opened         time.Time
	Kind           string // "", "session", "http" or "push"
	Up             bool   // the handshake was completed, or the transfer was answered
	Searches       int
	BytesIn        int
	LastIn         time.Time // when the last byte from the client came
}

type session struct {
	mu sync.Mutex
	s  Session
}

func (s *session) update(f func(*Session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.s)
}

// Life is the time from the handshake to the client's last byte.
func (s Session) Life() time.Duration {
	if s.LastIn.IsZero() {
		return 0
	}
	return s.LastIn.Sub(s.Opened)
}

func newInternet(ns *netns.Namespace) (*Internet, error) {
	in := &Internet{ns: ns, conns: map[net.Conn]bool{}, pings: map[netip.Addr]int{}}
	for _, p := range PeerPorts {
		if err := in.udp(p, in.supernodeUDP); err != nil {
			return nil, err
		}
		if err := in.tcp(p, in.supernodeTCP); err != nil {
			return nil, err
		}
	}
	if err := in.ordinary(); err != nil {
		return nil, err
	}
	return in, nil
}

// Close ends all servers and connections.
func (in *Internet) Close() {
	in.mu.Lock()
	in.closed = true
	for c := range in.conns {
		c.Close()
	}
	in.mu.Unlock()
	for _, c := range in.closers {
		c()
	}
	in.running.Wait()
}

// Sessions returns all connections to supernode ports so far.
func (in *Internet) Sessions() []Session {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := make([]Session, 0, len(in.sessions))
	for _, s := range in.sessions {
		s.mu.Lock()
		out = append(out, s.s)
		s.mu.Unlock()
	}
	return out
}

// Pings returns how many pings came from an address.
func (in *Internet) Pings(from netip.Addr) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.pings[from]
}

func (in *Internet) note(c net.Conn, kind string) *session {
	s := &session{s: Session{Client: addrPort(c.RemoteAddr()), Server: addrPort(c.LocalAddr()), Opened: time.Now(), Kind: kind}}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.sessions = append(in.sessions, s)
	return s
}

// hold keeps a connection so that Close can end it. False means that the servers are
// closed already.
func (in *Internet) hold(c net.Conn) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return false
	}
	in.conns[c] = true
	return true
}

func (in *Internet) release(c net.Conn) {
	c.Close()
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.conns, c)
}

// tcp serves a port on all addresses of the internet.
func (in *Internet) tcp(port uint16, serve func(net.Conn)) error {
	l, err := in.ns.ListenTCP(netip.AddrPortFrom(netip.Addr{}, port))
	if err != nil {
		return fmt.Errorf("internet: %w", err)
	}
	in.closers = append(in.closers, l.Close)
	in.running.Add(1)
	go func() {
		defer in.running.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			in.serve(c, serve)
		}
	}()
	return nil
}

func (in *Internet) serve(c net.Conn, serve func(net.Conn)) {
	if !in.hold(c) {
		c.Close()
		return
	}
	in.running.Add(1)
	go func() {
		defer in.running.Done()
		defer in.release(c)
		serve(c)
	}()
}

// udp serves a port on all addresses of the internet. answer returns the reply,
// or nil for none.
func (in *Internet) udp(port uint16, answer func(from netip.AddrPort, b []byte) []byte) error {
	c, err := in.ns.ListenUDP(netip.AddrPortFrom(netip.Addr{}, port))
	if err != nil {
		return fmt.Errorf("internet: %w", err)
	}
	in.closers = append(in.closers, c.Close)
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var opt error
	err = raw.Control(func(fd uintptr) {
		opt = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		if e := unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); opt == nil {
			opt = e
		}
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	})
	if err == nil {
		err = opt
	}
	if err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	in.running.Add(1)
	go func() {
		defer in.running.Done()
		buf, oob := make([]byte, 2048), make([]byte, 128)
		for {
			n, on, _, from, err := c.ReadMsgUDPAddrPort(buf, oob)
			if err != nil {
				return
			}
			client := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			if reply := answer(client, buf[:n]); reply != nil {
				c.WriteMsgUDPAddrPort(reply, replyInfo(oob[:on]), from)
			}
		}
	}()
	return nil
}

// replyInfo turns the control messages of a received datagram into control messages for
// the answer, so that the answer comes from the address that the datagram was sent to.
func replyInfo(oob []byte) []byte {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range msgs {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12:
			info := &unix.Inet4Pktinfo{Spec_dst: [4]byte(m.Data[8:12])}
			return unix.PktInfo4(info)
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			info := &unix.Inet6Pktinfo{Addr: [16]byte(m.Data[:16])}
			return unix.PktInfo6(info)
		}
	}
	return nil
}

func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Dial connects from an internet address to a host behind the router, or to the router's
// forwarded port.
func (in *Internet) Dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	return in.ns.Dial(ctx, "tcp", netip.AddrPortFrom(from, 0), to)
}

// DialWithin does so within a time, which is also the time until the connection's deadline.
func (in *Internet) DialWithin(limit time.Duration, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	return in.ns.DialWithin(limit, "tcp", netip.AddrPortFrom(from, 0), to)
}
