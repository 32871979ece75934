// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// classify asks the enabled protocols what a datagram is. The finding is the
// engine's own and holds until the next call.
func (e *Engine) classify(b []byte) *detect.Finding {
	f := &e.finding
	f.Reset()
	for i, p := range detect.All {
		if p.Datagram == nil || !e.datagrams.Has(i) {
			continue
		}
		if k := p.Datagram(b, f); k > f.Kind {
			f.Kind, f.Protocol = k, i
		}
		if f.Kind > detect.Weak {
			break
		}
	}
	return f
}

// udpOut decides about a datagram from the LAN to the outside.
func (e *Engine) udpOut(p *nfq.Packet, d *Device, h *host, now Time) nfq.Verdict {
	f := e.classify(p.Payload)
	if f.Kind == detect.Weak && e.watch(p, f, true, now) {
		f.Kind, f.Reason = detect.Reply, detect.ReasonFlow
	}
	if f.Kind == detect.Query || f.Kind == detect.Reply {
		return e.spoke(p, d, h, f, now)
	}
	// What is weak may be anything: a name server's number begins as FastTrack's
	// short messages do.
	if e.tellsHarmless() && detect.HarmlessDatagram(p.Payload, p.DstPort, true) {
		// A peer of a protocol that goes by addresses alone stays cut.
		if h.client == none || !e.cutFrom(&e.clients[h.client], &p.Dst) {
			return e.harmless(h, p.DstPort)
		}
	}
	if e.wentToNamed(p, d, h, now) {
		if h.client != none {
			e.clients[h.client].droppedUDP++
		}
		return nfq.Drop
	}
	if h.client == none {
		if e.tellsHarmless() {
			e.suspectUDP(p, d, h, now)
		}
		return nfq.Accept
	}
	c := &e.clients[h.client]
	if peer := e.knows(c, &p.Dst); peer != nil {
		weak := f.Kind == detect.Weak && detect.All[f.Protocol].Flow != nil
		if weak || !detect.All[peer.protocol].Sift || peer.port == p.DstPort {
			e.wentTo(h.client, c, peer, &p.Src, now)
		}
		return e.dropUDP(c, peer, int(peer.protocol))
	}
	if c.sift {
		return e.dropUDP(c, nil, int(c.protocol))
	}
	return nfq.Accept
}

// harmless is the verdict about a datagram that is something known, to or from a port
// outside. With a name server nothing is decided as long as names are looked for:
// what it answers would not come here any more. Of a host that is sifted, only what
// is decided may pass.
func (e *Engine) harmless(h *host, port uint16) nfq.Verdict {
	if port == dnsPort && e.hasNames && (h.client == none || !e.clients[h.client].sift) {
		return nfq.Accept
	}
	return nfq.AcceptHarmless
}

// cutFrom reports whether the address is a peer from which the client is cut off
// altogether.
func (e *Engine) cutFrom(c *client, a *nfq.Addr) bool {
	p := e.knows(c, a)
	return p != nil && p.cutsAll(e)
}

// reply reads what somebody answers who was asked by a client of the protocol.
func (e *Engine) reply(protocol int, p *nfq.Packet, b []byte, f *detect.Finding) bool {
	read := detect.All[protocol].Reply
	if read == nil {
		return false
	}
	f.Reset()
	f.Protocol = protocol
	return read(b, p.Proto == nfq.ProtoTCP, !p.Src.Is4(), f)
}

// udpIn decides about a datagram from the outside to the LAN. What it says never
// makes its receiver a client, nor keeps it one: anybody can send it.
func (e *Engine) udpIn(p *nfq.Packet, now Time) nfq.Verdict {
	if p.SrcPort == dnsPort {
		e.nameReply(p, now)
	}
	h := e.hostAt(&p.Dst)
	if h == nil || h.client == none || e.exempt(&p.Dst, &h.key.mac, now) {
		return nfq.Accept
	}
	c := &e.clients[h.client]
	f := e.classify(p.Payload)
	if f.Kind == detect.Query || f.Kind == detect.Reply {
		// Its sender is a peer, and so are those it names.
		if detect.All[f.Protocol].Sift && !e.ours(&p.Src) {
			e.note(h, c, &p.Src, p.SrcPort, f.Protocol, false, now)
			e.notePeers(h, c, f, now)
		}
	} else if peer := e.knows(c, &p.Src); peer != nil && peer.port == p.SrcPort && e.reply(int(peer.protocol), p, p.Payload, f) {
		e.notePeers(h, c, f, now)
	} else if e.tellsHarmless() && detect.HarmlessDatagram(p.Payload, p.SrcPort, false) &&
		!e.cutFrom(c, &p.Src) {
		return e.harmless(h, p.SrcPort)
	}
	if c.sift {
		return e.dropUDP(c, nil, int(c.protocol))
	}
	return nfq.Accept
}

// spoke handles a datagram that says that its sender is a client.
func (e *Engine) spoke(p *nfq.Packet, d *Device, h *host, f *detect.Finding, now Time) nfq.Verdict {
	c := e.met(h, f, &p.Src, d, &p.Dst, p.DstPort, now)
	if c == nil {
		// No place for it: it is not held, but what is recognised is
		// blocked all the same.
		if cfg := &e.cfg.Protocols[f.Protocol]; cfg.Mode == Block && cfg.BlockUDP {
			return nfq.Drop
		}
		return nfq.Accept
	}
	protocol := detect.All[f.Protocol]
	if f.Kind == detect.Query && len(p.Payload) <= detect.MaxQuery {
		c.queryLen = uint8(copy(c.query[:], p.Payload))
	}
	// A tracker may be asked from a port of its own.
	if (f.Kind == detect.Query || f.Reason == detect.ReasonFlow) && (f.Reason != detect.ReasonAnnounce || c.port == 0) {
		c.askedAt, c.port = p.Src, p.SrcPort
	}
	c.learn(f)
	var peer *peer
	if protocol.Decoy == nil || !protocol.Decoy((*[16]byte)(&p.Dst)) {
		peer = e.note(h, c, &p.Dst, p.DstPort, f.Protocol, false, now)
	}
	e.notePeers(h, c, f, now)
	e.lock(h.client, c, f.Protocol, f.Reason, now)
	cfg := &e.cfg.Protocols[f.Protocol]
	if cfg.Mode == Block && f.Kind == detect.Query && cfg.Answer != detect.AnswerNone && protocol.Answer != nil {
		salt := uint32(e.seconds(now))/1800 + uint32(p.Dst[15])<<8
		e.asked = detect.Asked{
			Peer: p.Dst, Client: detect.Endpoint{Addr: p.Src, Port: p.SrcPort}, Salt: salt,
		}
		if n := protocol.Answer(e.out[:], p.Payload, cfg.Answer, &e.asked); n > 0 {
			e.send(nfq.AddrPort{Addr: p.Dst, Port: p.DstPort}, nfq.AddrPort{Addr: p.Src, Port: p.SrcPort}, e.out[:n])
			e.Counters.Pongs++
		}
	}
	return e.dropUDP(c, peer, f.Protocol)
}

// dropUDP drops a datagram of a client as the protocol's policy says: peer is to
// whom it was, nil where that is not known.
func (e *Engine) dropUDP(c *client, peer *peer, protocol int) nfq.Verdict {
	if cfg := &e.cfg.Protocols[protocol]; cfg.Mode != Block || !cfg.BlockUDP {
		return nfq.Accept
	}
	if peer != nil {
		peer.dropped++
	}
	c.dropped++
	c.droppedUDP++
	return nfq.Drop
}

// notePeers enters the peers that a payload named.
func (e *Engine) notePeers(h *host, c *client, f *detect.Finding, now Time) {
	e.Counters.IgnoredPeers += uint64(f.Ignored)
	f.Ignored = 0
	for i := range f.Peers[:f.N] {
		a := nfq.Addr(f.Peers[i].Addr)
		if e.ours(&a) {
			e.Counters.IgnoredPeers++
			continue
		}
		if decoy := detect.All[f.Protocol].Decoy; decoy != nil && decoy(&f.Peers[i].Addr) {
			continue
		}
		e.note(h, c, &a, f.Peers[i].Port, f.Protocol, false, now)
	}
	f.N = 0
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

// udpToRouter decides about a datagram from the LAN to the router: the answer to
// a probe restarts the client's lock.
func (e *Engine) udpToRouter(p *nfq.Packet, d *Device, now Time) nfq.Verdict {
	h := e.hostAt(&p.Src)
	if h != nil && h.client == none && h.asked != 0 {
		if h = e.hostOf(p, d, now); h != nil && h.client == none { // its MAC may be new
			return e.askAnswered(p, d, h, now)
		}
	}
	if h == nil || h.client == none || !p.MAC.IsZero() && !h.key.mac.IsZero() && h.key.mac != p.MAC {
		return nfq.Accept
	}
	c := &e.clients[h.client]
	f := e.classify(p.Payload)
	if f.Kind != detect.Query && f.Kind != detect.Reply && !e.answers(c, p.Payload) {
		return nfq.Accept
	}
	c.learn(f)
	e.answered(h.client, c, now)
	// Nobody listens on that port: without the drop, the router would
	// tell the client so.
	return nfq.Drop
}
