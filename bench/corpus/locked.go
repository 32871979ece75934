// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// lock is an engine that locks every host for BitTorrent, eDonkey, Soulseek, Direct
// Connect and Gnutella, with no known port of the clients. The host that opened a flow is taken for the LAN host. If a capture begins in
// the middle of a connection, this is the end with the higher port. The engine sees what
// that host sends until the flow is decided; the rules on a router would show less. It
// does not see the other direction: if the first packet is dropped, nothing comes back.
type lock struct {
	engine *state.Engine
	now    state.Time
	// Addresses of the capture, and the made-up ones that replace them.
	inside, outside map[nfq.Addr]nfq.Addr
}

// fate is what happens to a flow when its LAN host is locked.
type fate struct {
	host    int8 // which end is the LAN host: 1 for the opener, 2 for the other, 0 for not known
	middle  detect.PeerMiddle
	looks   detect.Match // TCP: whether its data looks like the middle of an encrypted session
	decided bool         // the engine sees no more packets
	begun   bool         // the capture has the SYN
	cut     bool         // a packet was dropped
	shape   string       // the shape that it was cut for, "" if it must not be cut
}

const (
	// beginning is the time on the engine's clock when captures begin.
	beginning = state.Time(500 * 24 * time.Hour)
	// lockPort is the source port of the datagrams that prove a client. The engine never
	// takes the port of a system's service for a client's own.
	lockPort = 1
)

// conduct are the messages that prove a client when they go to two addresses.
var conduct = []struct {
	tcp     bool
	message string
}{
	{false, "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"},
	{false, "\xe4\x21\x0b\xd2\x63\xc0\xbf\xde\x19\x98\x76\x47\x9f\xe3\xf4\x4b\xa0\x65\x15\x84\x7d\xcb\x78\x60\x32\x43\x1d\x59\x89\x88\x2a\xe4\xa6\xa6\x39"},
	{true, "\x12\x00\x00\x00\x01\x04\x00\x00\x00anna\x01\x00\x00\x00F\x00\x00\x00\x00"},
	{false, "URES DXEBCJ4N7SOGDLZBPOC5OORSA4H7IXBOQNO3GMQ SI3000000 SL2 FN/share/song.mp3 TO4098512921\n"},
	{false, "\xcb\x1b\x31\x02\x3c\x1c\x74\xd5\xff\xbf\xc7\x2c\x3b\xd6\x1c\x00\x00\x01\x00\x00\x00\x00\x00"},
}

func newLock() *lock {
	cfg := everything()
	cfg.LockTime = 1000 * state.DefaultForget // longer than any capture
	cfg.MaxClients = 4096
	l := &lock{now: beginning, inside: map[nfq.Addr]nfq.Addr{}, outside: map[nfq.Addr]nfq.Addr{}}
	l.engine = state.New(cfg, nil, nil, 1) // no sender: a handshake cannot be answered
	l.engine.SetDevices([]state.Device{{
		Index: 1, Name: "lan", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/16")},
	}})
	return l
}

// stand returns the made-up address that replaces a. It is numbered in order of arrival.
func stand(m map[nfq.Addr]nfq.Addr, a nfq.Addr, four byte, six uint16) (s nfq.Addr, isNew bool) {
	if s, ok := m[a]; ok {
		return s, false
	}
	n := len(m) + 1
	if a.Is4() {
		s = nfq.AddrFrom4([4]byte{four, byte(n >> 16), byte(n >> 8), byte(n)})
	} else {
		s = nfq.Addr{0: byte(six >> 8), 1: byte(six), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
	}
	m[a] = s
	return s, true
}

// look shows a packet of a flow to the engine. side is its sender: 0 is the opener.
func (l *lock) look(x *flow, p *nfq.Packet, side int, at time.Time) {
	f := &x.locked
	if f.host == 0 {
		f.host = 1
		if p.Proto == nfq.ProtoTCP && p.TCPFlags&nfq.SYN == 0 && p.SrcPort < p.DstPort {
			f.host = 2
		}
	}
	isSYN := p.Proto == nfq.ProtoTCP && p.TCPFlags&(nfq.SYN|nfq.ACK) == nfq.SYN
	switch {
	case f.cut, int(f.host) != side+1, f.decided && !isSYN:
		return
	case isSYN:
		*f = fate{host: f.host, begun: true}
	}
	l.now = max(l.now, state.Time(at.UnixNano()))
	l.engine.Advance(l.now)
	q := *p
	isNew := false
	q.Hook, q.InDev, q.OutDev, q.MAC = nfq.HookForward, 1, 2, nfq.MAC{}
	q.Src, isNew = stand(l.inside, p.Src, 10, 0xfd00)
	q.Dst, _ = stand(l.outside, p.Dst, 93, 0x2a00)
	if isNew {
		l.lock(q.Src)
	}
	if p.Proto == nfq.ProtoTCP && len(p.Payload) > 0 {
		f.looks = detect.BitTorrent.Hidden.Middle(&f.middle, p.Payload, p.TCPFlags&nfq.PSH != 0)
	}
	switch l.engine.Packet(&q, l.now) {
	case nfq.AcceptDecided:
		f.decided = true
	case nfq.Drop:
		f.cut, f.shape = true, f.shapeOf(p)
	}
}

// lock makes the engine lock the host for each protocol in conduct.
func (l *lock) lock(host nfq.Addr) {
	nodes, version := []string{"198.51.100.201", "198.51.100.202"}, uint8(4)
	if !host.Is4() {
		nodes, version = []string{"2a01::201", "2a01::202"}, 6
	}
	for i, c := range conduct {
		for _, node := range nodes {
			p := nfq.Packet{
				Hook: nfq.HookForward, InDev: 1, OutDev: 2, Version: version, Proto: nfq.ProtoUDP,
				Src: host, Dst: nfq.AddrFrom(netip.MustParseAddr(node)), SrcPort: lockPort, DstPort: uint16(6881 + i),
			}
			if c.tcp {
				p.Proto, p.TCPFlags = nfq.ProtoTCP, nfq.SYN
				l.engine.Packet(&p, l.now)
				p.Seq, p.TCPFlags = 1, nfq.ACK|nfq.PSH
			}
			p.Payload, p.PayloadLen = []byte(c.message), len(c.message)
			l.engine.Packet(&p, l.now)
		}
	}
}

// shapeOf says why the packet may be dropped though it is no file sharing. It returns ""
// if there is no such reason.
func (f *fate) shapeOf(p *nfq.Packet) string {
	hidden := detect.BitTorrent.Hidden
	switch {
	case p.Proto != nfq.ProtoTCP:
	case f.begun && hidden.First(p.Payload):
		return "its first data is as random as an encrypted handshake"
	case f.begun && detect.EDonkey.Hidden.Shaped(p.Payload):
		return "its first data is as random as what eDonkey's clients encrypt"
	case !f.begun && f.looks == detect.Yes:
		return "its beginning was not seen, and its middle is as random as an encrypted session"
	}
	return ""
}
