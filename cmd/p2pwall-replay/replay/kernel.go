// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// The limits of the queue rules.
const (
	udpPayload = 160 // the longest UDP payload that is queued
	udpPackets = 20  // packets from the opener of a UDP flow that are queued
	tcpPackets = 24  // packets that are queued in each direction of a TCP connection
	// bare4 and bare6 are the lengths of a TCP packet with the time stamp option and
	// without data.
	bare4 = 20 + 20 + 12
	bare6 = 40 + 20 + 12
	// talkEvery is the time between two samples of a blocked host's small UDP packets.
	talkEvery = 100 * time.Millisecond
	// longestSample is the longest time between two samples of a blocked host's other
	// packets.
	longestSample = 10 * time.Second
)

// The timeouts of conntrack entries, with OpenWrt's values.
const (
	trackTCP    = 7440 * time.Second
	trackUDP    = 60 * time.Second  // before the first packet in the reply direction
	trackStream = 180 * time.Second // after it
	sweepEvery  = time.Minute
)

// kernel imitates what the router's kernel does before the queue: conntrack, the sets,
// and the rules that choose what is queued. It implements state.Sets.
type kernel struct {
	now      state.Time
	readsTCP bool
	looks    bool // the first packet of each UDP flow is queued, whatever its length
	names    bool // answers of name servers are queued
	lockTime time.Duration

	conns   map[flowKey]*conn
	cuts    map[[2]nfq.Addr]state.Time // client and peer: end of the cut
	locks   map[nfq.Addr]state.Time
	owns    map[nfq.HostPort]state.Time
	watched map[nfq.Addr]state.Time
	marked  map[nfq.Addr]state.Time
	sampled map[nfq.Addr]state.Time
	talked  map[nfq.Addr]state.Time
	sweep   state.Time
}

type lockKey struct {
	mac  nfq.MAC
	addr nfq.Addr
}

// conn is a conntrack entry.
type conn struct {
	forth   bool   // end a of the key opened it
	packets [2]int // from the opener, and to it
	decided bool
	last    state.Time
}

func newKernel(readsTCP, looks bool, lockTime time.Duration) *kernel {
	return &kernel{
		readsTCP: readsTCP, looks: looks, lockTime: lockTime,
		owns: map[nfq.HostPort]state.Time{}, watched: map[nfq.Addr]state.Time{},
		marked: map[nfq.Addr]state.Time{},
		conns:  map[flowKey]*conn{}, cuts: map[[2]nfq.Addr]state.Time{},
		locks: map[nfq.Addr]state.Time{}, sampled: map[nfq.Addr]state.Time{}, talked: map[nfq.Addr]state.Time{},
	}
}

// way is what the rules do with a packet.
type way uint8

const (
	pass   way = iota // accepted without the engine
	queued            // the engine decides
	gone              // dropped by a set
	sample            // the engine sees it, but it is dropped in any case
)

// forward decides about a packet that the router forwards. c is its conntrack entry, nil
// for a packet without ports. isNew says that p created the entry.
func (k *kernel) forward(p *nfq.Packet, out bool) (w way, c *conn, key flowKey, isNew bool) {
	ports := p.Version != 0 && !p.Fragment && (p.Proto == nfq.ProtoTCP || p.Proto == nfq.ProtoUDP)
	if ports {
		c, key, isNew = k.track(p)
	}
	isSYN := ports && p.Proto == nfq.ProtoTCP && p.TCPFlags&(nfq.SYN|nfq.ACK|nfq.RST|nfq.FIN) == nfq.SYN
	src, dst, ok := addresses(p.Raw)
	switch {
	case ok && !out && k.now < k.cuts[[2]nfq.Addr{dst, src}],
		ports && !out && k.now < k.owns[nfq.HostPort{Addr: dst, Proto: p.Proto, Port: p.DstPort}]:
		if k.now < k.marked[dst] {
			return pass, c, key, isNew
		}
		return gone, c, key, isNew
	case ok && out && k.now < k.cuts[[2]nfq.Addr{src, dst}],
		ports && out && k.now < k.owns[nfq.HostPort{Addr: src, Proto: p.Proto, Port: p.SrcPort}],
		out && isSYN && k.now < k.locks[src]:
		return k.blocked(p, &src), c, key, isNew
	case !out && !(ports && c.answered()):
		// The firewall will drop this packet, or the LAN host has not answered yet.
		return pass, c, key, isNew
	case isSYN && out, k.names && !out && p.Proto == nfq.ProtoUDP && p.SrcPort == portNames:
		return queued, c, key, isNew
	case !ports || c.decided:
		return pass, c, key, isNew
	}
	if p.Proto == nfq.ProtoUDP {
		switch {
		case k.names && out && p.DstPort == portNames && c.packets[0] > udpPackets:
		case !out && c.packets[1] > udpPackets, out && c.packets[0] > udpPackets:
			c.decided = true
		case out && p.PayloadLen <= udpPayload, out && k.looks && c.packets[0] == 1:
			return queued, c, key, isNew
		}
		return pass, c, key, isNew
	}
	return k.data(p, c, &src, &dst, out), c, key, isNew
}

// portNames is the port of name servers.
const portNames = 53

// The ports of the router, or of a multicast group in the LAN, whose packets are queued.
const (
	portMapping = 5351 // NAT-PMP and PCP
	portUPnP    = 5000 // miniupnpd
	portSearch  = 6771 // BEP 14
)

func (k *kernel) toRouter(p *nfq.Packet) way {
	look := false
	switch p.Proto {
	case nfq.ProtoUDP:
		look = p.DstPort == detect.ProbePort || p.DstPort == portMapping ||
			p.DstPort == portSearch && searchGroup(&p.Dst)
	case nfq.ProtoTCP:
		look = p.DstPort == portUPnP && p.TCPFlags&nfq.PSH != 0
	}
	if look {
		return queued
	}
	return pass
}

// data decides about a TCP packet that does not open a connection.
func (k *kernel) data(p *nfq.Packet, c *conn, src, dst *nfq.Addr, out bool) way {
	watched := k.readsTCP && (out && k.now < k.watched[*src] || !out && k.now < k.watched[*dst])
	switch {
	case !k.readsTCP || !watched && c.packets[0] > tcpPackets && c.packets[1] > tcpPackets:
		c.decided = true
	case out && watched && p.TCPFlags&(nfq.SYN|nfq.RST) == nfq.SYN,
		out && hasData(p) && (watched || c.count(p) <= tcpPackets):
		return queued
	}
	return pass
}

// answered reports whether there were packets in both directions.
func (c *conn) answered() bool { return c.packets[0] > 0 && c.packets[1] > 0 }

// count returns the number of packets in the direction of p.
func (c *conn) count(p *nfq.Packet) int {
	if _, forth := keyOf(p); forth != c.forth {
		return c.packets[1]
	}
	return c.packets[0]
}

// hasData tests as the rules do whether a TCP packet has data.
func hasData(p *nfq.Packet) bool {
	bare := bare4
	if p.Version == 6 {
		bare = bare6
	}
	return p.TCPFlags&(nfq.SYN|nfq.RST) == 0 && (p.TCPFlags&nfq.PSH != 0 || wireLength(p.Raw) > bare)
}

// blocked decides about a packet that a set catches. From time to time the engine gets a
// sample, so that it knows that the client still runs.
func (k *kernel) blocked(p *nfq.Packet, src *nfq.Addr) way {
	if k.now < k.marked[*src] {
		return queued
	}
	if p.Proto == nfq.ProtoUDP && p.PayloadLen <= udpPayload {
		if k.now < k.talked[*src] {
			return gone
		}
		k.talked[*src] = k.now.After(talkEvery)
		return sample
	}
	if k.now < k.sampled[*src] {
		return gone
	}
	every := k.lockTime / 16
	switch {
	case every == 0 || every > longestSample:
		every = longestSample
	case every >= time.Second:
		every = every.Truncate(time.Second)
	}
	k.sampled[*src] = k.now.After(every)
	return sample
}

// track finds or creates the conntrack entry of p, and counts p.
func (k *kernel) track(p *nfq.Packet) (c *conn, key flowKey, isNew bool) {
	if k.now >= k.sweep {
		k.sweep = k.now.After(sweepEvery)
		k.forget()
	}
	key, forth := keyOf(p)
	c = k.conns[key]
	if c != nil && (k.now >= c.ends(p.Proto) ||
		p.Proto == nfq.ProtoTCP && p.TCPFlags&(nfq.SYN|nfq.ACK) == nfq.SYN && c.packets[1] > 0) {
		c = nil
	}
	if c == nil {
		c, isNew = &conn{forth: forth}, true
		k.conns[key] = c
	}
	c.last = k.now
	if forth == c.forth {
		c.packets[0]++
	} else {
		c.packets[1]++
	}
	return c, key, isNew
}

// ends returns when the entry times out if no further packet comes.
func (c *conn) ends(proto uint8) state.Time {
	switch {
	case proto == nfq.ProtoTCP:
		return c.last.After(trackTCP)
	case c.packets[1] > 0:
		return c.last.After(trackStream)
	}
	return c.last.After(trackUDP)
}

func (k *kernel) forget() {
	for key, c := range k.conns {
		if k.now >= c.ends(key.proto) {
			delete(k.conns, key)
		}
	}
}

// wireLength returns the length in an IP packet's header.
func wireLength(ip []byte) int {
	if ip[0]>>4 == 4 {
		return int(binary.BigEndian.Uint16(ip[2:]))
	}
	return 40 + int(binary.BigEndian.Uint16(ip[4:]))
}

// Cut implements state.Sets.
func (k *kernel) Cut(client, peer nfq.Addr, d time.Duration) {
	k.cuts[[2]nfq.Addr{client, peer}] = k.now.After(d)
}

// Uncut implements state.Sets.
func (k *kernel) Uncut(client, peer nfq.Addr) { delete(k.cuts, [2]nfq.Addr{client, peer}) }

// Lock implements state.Sets.
func (k *kernel) Lock(addr nfq.Addr, d time.Duration) { k.locks[addr] = k.now.After(d) }

// Unlock implements state.Sets.
func (k *kernel) Unlock(addr nfq.Addr) { delete(k.locks, addr) }

// Own implements state.Sets.
func (k *kernel) Own(addr nfq.Addr, proto uint8, port uint16, d time.Duration) {
	k.owns[nfq.HostPort{Addr: addr, Proto: proto, Port: port}] = k.now.After(d)
}

// Disown implements state.Sets.
func (k *kernel) Disown(addr nfq.Addr, proto uint8, port uint16) {
	delete(k.owns, nfq.HostPort{Addr: addr, Proto: proto, Port: port})
}

// Watch implements state.Sets.
func (k *kernel) Watch(addr nfq.Addr, d time.Duration) { k.watched[addr] = k.now.After(d) }

// Unwatch implements state.Sets.
func (k *kernel) Unwatch(addr nfq.Addr) { delete(k.watched, addr) }

// Mark implements state.Sets.
func (k *kernel) Mark(addr nfq.Addr, d time.Duration) { k.marked[addr] = k.now.After(d) }

// Unmark implements state.Sets.
func (k *kernel) Unmark(addr nfq.Addr) { delete(k.marked, addr) }

// Room implements state.Sets. There is always room.
func (k *kernel) Room() int { return 1 << 20 }

// Lost implements state.Sets.
func (k *kernel) Lost() bool { return false }

// Flush implements state.Sets.
func (k *kernel) Flush() uint64 { return 0 }
