// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"math/bits"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// classify asks the protocols in use what a datagram of host h is. h is nil if the sender
// is unknown. The finding belongs to the engine and is valid until the next call. The same
// goes for e.weak, the protocols that the datagram matches weakly.
func (e *Engine) classify(h *host, b []byte) *detect.Finding {
	on := e.strangers.on
	if h != nil {
		on = h.modes.on
	}
	f := &e.finding
	f.Reset()
	e.weak = 0
	for left := on & e.datagrams; left != 0; left &= left - 1 {
		i := bits.TrailingZeros32(uint32(left))
		k := detect.All[i].Datagram(b, f)
		if k == detect.None {
			continue
		}
		if k > f.Kind {
			f.Kind, f.Protocol = k, i
		}
		if k > detect.Weak {
			break
		}
		e.weak |= 1 << i
	}
	return f
}

// udpOut decides about a datagram from the LAN to the outside.
func (e *Engine) udpOut(p *nfq.Packet, d *Device, h *host, now Time) nfq.Verdict {
	f, c := e.classify(h, p.Payload), e.clientOf(h)
	if f.Kind == detect.Weak {
		switch i, m := e.watch(p, now); m {
		case detect.Yes:
			f.Kind, f.Protocol, f.Reason, f.Conduct = detect.Reply, i, detect.ReasonFlow, true
		case detect.Hint:
			e.suspect(h, i, detect.ReasonFlow, &p.Src, d, p.SrcPort, 0, now)
		}
	}
	if f.Kind == detect.Query || f.Kind == detect.Reply {
		return e.spoke(p, d, h, f, now)
	}
	session, protocol := rtcLeave, e.rtcProtocol(h, c)
	if e.looks {
		if session = e.webRTC(p, h, c, protocol, now); session == rtcDrop {
			return e.dropUDP(p, h, c, nil, protocol)
		}
		e.suspectQUIC(p, d, h, now)
	}
	// A weak match may be anything: a DNS query's number can look like one of FastTrack's
	// short messages. A peer that is cut by address stays cut.
	if e.looks && detect.HarmlessDatagram(p.Payload, p.DstPort) && (c == nil || !e.cutFrom(h, c, p)) {
		if session == rtcWatch {
			return nfq.Accept
		}
		return e.harmless(p.DstPort)
	}
	if e.looks && (c == nil || c.proved == 0 || c.port == 0) {
		e.suspectUDP(p, d, h, now)
	}
	if c == nil || !c.locked {
		return nfq.Accept
	}
	// If the peer's protocol is not exclusive, its address may also serve something else:
	// there the datagram has to match the protocol and the port.
	if peer := e.knows(c, &p.Dst); peer != nil {
		fits := e.weak.Has(int(peer.protocol))
		// Only the client itself sends this from the port of its queries.
		if fits && p.SrcPort == c.port && (e.cutsAll(h, peer) || p.DstPort == peer.port) {
			e.wentTo(h.client, c, peer, &p.Src, now)
		}
		if e.cutsAll(h, peer) || fits && p.DstPort == peer.port {
			return e.dropUDP(p, h, c, peer, int(peer.protocol))
		}
	}
	if c.selective && c.owns(p.SrcPort) {
		return e.dropUDP(p, h, c, nil, int(c.protocol))
	}
	return nfq.Accept
}

// harmless accepts a datagram of a known harmless kind. A flow with a name server stays
// undecided while names are looked for: otherwise its answers would not be queued any more.
func (e *Engine) harmless(port uint16) nfq.Verdict {
	if port == dnsPort && e.hasNames {
		return nfq.Accept
	}
	return nfq.AcceptDecided
}

// cutFrom reports whether the datagram goes to a peer that is cut by address, or comes from
// one of the client's own ports.
func (e *Engine) cutFrom(h *host, c *client, p *nfq.Packet) bool {
	peer := e.knows(c, &p.Dst)
	return c.locked && (peer != nil && e.cutsAll(h, peer) || c.selective && c.owns(p.SrcPort))
}

// udpIn decides about a datagram from the outside to the LAN. It reads only the answers of
// name servers.
func (e *Engine) udpIn(p *nfq.Packet, now Time) nfq.Verdict {
	if p.SrcPort == dnsPort {
		e.nameReply(p, now)
	}
	return nfq.Accept
}

// spoke handles a datagram that shows that its sender is a client.
func (e *Engine) spoke(p *nfq.Packet, d *Device, h *host, f *detect.Finding, now Time) nfq.Verdict {
	protocol := f.Protocol
	c := e.enter(h, protocol, f.Reason, &p.Src, d, now)
	if c == nil {
		// There is no room for the client, so it is not locked. What is recognised is
		// dropped anyway.
		return e.dropUDP(p, h, nil, nil, protocol)
	}
	if c.toldPeer.Addr.IsZero() {
		c.toldPeer = nfq.AddrPort{Addr: p.Dst, Port: p.DstPort}
	}
	kind, reason, inner := f.Kind, f.Reason, f.Inner
	if kind == detect.Query && len(p.Payload) <= detect.MaxQuery {
		c.queryLen = uint8(copy(c.query[:], p.Payload))
	}
	own := !f.NotListening
	if (kind == detect.Query || reason == detect.ReasonFlow) && (own || c.port == 0) {
		c.askedAt, c.port = p.Src, p.SrcPort
	}
	if f.Conduct && own {
		e.ownPort(h, c, p.SrcPort, now)
	}
	c.learn(f)
	p2p := detect.All[protocol]
	var peer *peer
	if f.Conduct && inner == 0 && (p2p.Decoy == nil || !p2p.Decoy((*[16]byte)(&p.Dst))) {
		peer = e.note(h, c, &p.Dst, p.DstPort, protocol, false, now)
	}
	switch {
	case reason == detect.ReasonFlow && c.proved.Has(protocol):
		// It may be another program's: do not restart the lock.
	case f.Conduct:
		e.conduct(h, c, protocol, reason, &p.Dst, inner, nfq.Flow{
			LAN: nfq.AddrPort{Addr: p.Src, Port: p.SrcPort}, WAN: nfq.AddrPort{Addr: p.Dst, Port: p.DstPort},
		}, now)
	case c.proved.Has(protocol): // it answers others, so it runs
		e.lock(h.client, c, protocol, reason, now)
	}
	if !c.proved.Has(protocol) {
		port, listen := p.SrcPort, c.listen
		if !own {
			port = f.UDPPort
		}
		if p2p.OnePort && port == 0 {
			port = listen
		}
		if p2p.OnePort && listen == 0 {
			listen = port
		}
		e.suspect(h, protocol, reason, &p.Src, d, port, listen, now)
	}
	if h.modes.blocks.Has(protocol) && kind == detect.Query && inner == 0 {
		e.pong(p, d, h, c, protocol, now)
	}
	return e.dropUDP(p, h, c, peer, protocol)
}

// pong answers a query in the peer's place, as far as the configuration says so. An answer
// without decoys leads the client to the peer itself. So it has to be locked first.
func (e *Engine) pong(p *nfq.Packet, d *Device, h *host, c *client, protocol int, now Time) {
	answer, p2p := e.cfg.Protocols[protocol].Answer, detect.All[protocol]
	if answer == detect.AnswerNone || p2p.Answer == nil {
		return
	}
	may := c.proved.Has(protocol)
	if p2p.Decoy != nil {
		may = e.mayAnswer(c, now)
	}
	if !may || !e.owns(h, &p.Src) {
		return
	}
	salt := uint32(e.seconds(now))/1800 + uint32(p.Dst[15])<<8
	// Field by field: MIPS would make the whole value first, and copy it a byte at a time.
	a := &e.asked
	a.Peer, a.PeerPort, a.Salt = p.Dst, p.DstPort, salt
	a.Client.Addr, a.Client.Port = p.Src, p.SrcPort
	if n := p2p.Answer(e.out[:], p.Payload, answer, a); n > 0 {
		e.send(d.Index, nfq.AddrPort{Addr: p.Dst, Port: p.DstPort}, nfq.AddrPort{Addr: p.Src, Port: p.SrcPort}, e.out[:n])
		e.Counters.Pongs++
	}
}

const (
	// answersAtOnce and answersPerSecond limit the answers to a client in its peers' names
	// that name decoys. The client asks each decoy, too. The limit is high enough to keep
	// it busy.
	answersAtOnce, answersPerSecond = 16, 2
)

// mayAnswer reports whether the client gets another answer.
func (e *Engine) mayAnswer(c *client, now Time) bool {
	return c.answers.take(1, answersAtOnce, answersPerSecond, e.seconds(now))
}

// blocksUDP reports whether datagrams of the protocol are dropped.
//
//go:noinline
func (e *Engine) blocksUDP(h *host, protocol int) bool {
	return h.modes.holds.Has(protocol) && e.cfg.Protocols[protocol].BlockUDP
}

// dropUDP drops, marks or accepts a client's datagram by the protocol's policy. peer is its
// destination. c and peer may be nil.
func (e *Engine) dropUDP(p *nfq.Packet, h *host, c *client, peer *peer, protocol int) nfq.Verdict {
	if !e.blocksUDP(h, protocol) {
		return nfq.Accept
	}
	if h.marks(protocol) {
		return e.mark()
	}
	if peer != nil {
		peer.dropped++
	}
	if c != nil {
		c.tally.drop(p)
		c.dropped++
		c.droppedUDP++
	}
	return nfq.Drop
}

// notePeers adds the peers that a client named as its own.
func (e *Engine) notePeers(h *host, c *client, f *detect.Finding, now Time) {
	e.Counters.IgnoredPeers += uint64(f.Ignored)
	f.Ignored = 0
	for i := range f.Peers[:f.N] {
		if a := nfq.Addr(f.Peers[i].Addr); e.ours(&a) {
			e.Counters.IgnoredPeers++
		} else {
			e.note(h, c, &a, f.Peers[i].Port, f.Protocol, false, now)
		}
	}
}

// ours reports whether the address is the router's, or on one of its LANs.
func (e *Engine) ours(a *nfq.Addr) bool {
	for i := range e.devices {
		d := &e.devices[i]
		for j := range d.Addrs {
			if d.Addrs[j] == *a {
				return true
			}
		}
		if len(d.Prefixes) > 0 && d.onLink(a) {
			return true
		}
	}
	return false
}

// udpToRouter decides about a datagram from the LAN to the router. An answer to a question
// proves a suspect. An answer to a probe restarts a client's lock.
func (e *Engine) udpToRouter(p *nfq.Packet, d *Device, now Time) nfq.Verdict {
	if e.hostAt(&p.Src) == nil {
		return nfq.Accept // nobody asked it
	}
	h := e.hostOf(p, d, now) // its MAC may be new
	if h == nil {
		return nfq.Accept
	}
	c := e.clientOf(h)
	if c == nil || c.proved == 0 || !e.answers(c, p, now) {
		return e.askAnswered(p, d, h, now)
	}
	f := e.classify(h, p.Payload)
	c.learn(f)
	e.answered(h.client, c, now)
	// Nobody listens on that port: without the drop, the router would send the client an
	// ICMP error.
	return nfq.Drop
}
