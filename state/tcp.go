// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"bytes"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// tcpOut decides about a TCP packet from the LAN to the outside.
func (e *Engine) tcpOut(p *nfq.Packet, d *Device, h *host, now Time) nfq.Verdict {
	isSYN := p.TCPFlags&(nfq.SYN|nfq.ACK|nfq.RST|nfq.FIN) == nfq.SYN
	if isSYN {
		h.remember(p, now)
	}
	if h.client != none {
		c := &e.clients[h.client]
		peer := e.knows(c, &p.Dst)
		if peer != nil && detect.All[peer.protocol].Sift && !(isSYN && peer.port == p.DstPort && peer.port >= private) {
			peer = nil // something else may be served there too
		}
		if peer != nil && e.cfg.Protocols[peer.protocol].Mode != Block {
			if !isSYN {
				return nfq.Accept
			}
			peer = nil // but the host may be locked for something else
		}
		if peer != nil {
			if !peer.suspect {
				e.wentTo(h.client, c, peer, &p.Src, now)
			}
			peer.dropped++
			c.dropped++
			c.droppedTCP++
			return e.refuse(p)
		}
	}
	if !isSYN {
		return e.tcpData(p, d, h, true, now)
	}
	// Also when no connection may be opened at all: it tells that the client
	// still runs.
	if e.wentToNamed(p, d, h, now) {
		if h.client != none {
			e.clients[h.client].droppedTCP++
		}
		return e.refuse(p)
	}
	if h.client != none {
		if c := &e.clients[h.client]; c.strict || c.sift && decoy(c, &p.Dst) {
			c.dropped++
			c.droppedTCP++
			return e.refuse(p)
		}
	}
	e.endFlow(p)
	return nfq.Accept
}

// tcpIn decides about a TCP packet from the outside to the LAN: a reply, or data
// on a connection that the outside opened.
func (e *Engine) tcpIn(p *nfq.Packet, d *Device, now Time) nfq.Verdict {
	h := e.hostAt(&p.Dst)
	if h == nil {
		// A host that was never seen. Its own packets of this
		// connection will tell its MAC.
		return nfq.Accept
	}
	if e.exempt(&p.Dst, &h.key.mac, now) {
		return nfq.Accept
	}
	if h.client != none {
		c := &e.clients[h.client]
		if peer := e.knows(c, &p.Src); peer != nil && !detect.All[peer.protocol].Sift {
			if e.cfg.Protocols[peer.protocol].Mode != Block {
				return nfq.Accept
			}
			peer.dropped++
			c.dropped++
			c.droppedTCP++
			return nfq.Drop
		}
	}
	return e.tcpData(p, d, h, false, now)
}

// endFlow forgets an earlier connection between the same ports of the same hosts: p
// opens another. What is left of the earlier one, as the end of a hello whose
// beginning had decided about it, would have this one's data taken for out of place.
func (e *Engine) endFlow(p *nfq.Packet) {
	if e.streams == 0 {
		return
	}
	key := keyOf(p, true)
	if slot := e.flows.get(key, e.hash.flow(&key)); slot != none {
		e.flows.remove(slot)
	}
}

// tcpData looks at the first data of a connection.
func (e *Engine) tcpData(p *nfq.Packet, d *Device, h *host, outbound bool, now Time) nfq.Verdict {
	if e.streams == 0 {
		return nfq.Accept
	}
	if len(p.Payload) == 0 {
		return nfq.Accept
	}
	key := keyOf(p, outbound)
	hash := e.hash.flow(&key)
	slot := e.flows.get(key, hash)
	if slot != none && e.flows.flows[slot].direction(outbound).Far(p.Seq) {
		// Of a later connection that the outside opened: its first packet is
		// not seen here.
		e.flows.remove(slot)
		slot = none
	}
	if slot == none {
		if p.TCPFlags&nfq.RST != 0 {
			return nfq.Accept
		}
		var evicted bool
		slot, evicted = e.flows.add(key, hash)
		if evicted {
			e.Counters.FlowsEvicted++
		}
		e.held.drop(slot)
		e.flows.flows[slot].start(h, p, outbound)
		if e.tellsHarmless() {
			e.flows.flows[slot].out.WantPort(key.wport)
			e.flows.flows[slot].in.WantPort(key.wport)
		}
	}
	fl := &e.flows.flows[slot]
	e.flows.lru.touch(slot)
	switch {
	case h.client != none && (fl.fate == cut || fl.fate == unknown && e.clients[h.client].sift):
		return e.refuseUnknown(p, &e.clients[h.client])
	case fl.fate != open:
		return nfq.Accept
	}
	stream := fl.direction(outbound)
	f := &e.finding
	if !outbound && fl.asked && h.client != none {
		e.answer(p, h, fl, now)
	}
	f.Reset()
	switch e.feed(slot, stream, p.Seq, p.Payload, outbound, f) {
	case detect.Yes:
		e.Counters.Cuts++
		v := e.session(p, d, h, &key, f, outbound, now)
		// The addresses of others are cut whole; their heads may name more.
		if v == nfq.Drop && detect.All[f.Protocol].Sift {
			fl.fate = cut
		}
		fl.claimed = true
		fl.asked, fl.protocol = f.Reason == detect.ReasonAnnounce, uint8(f.Protocol)
		return v
	case detect.No:
		return e.unclaimed(p, d, h, slot, outbound, now)
	}
	return nfq.Accept
}

// answer reads a reply to what a client asked by HTTP, as far as it came together
// with the end of its head, or behind it.
func (e *Engine) answer(p *nfq.Packet, h *host, fl *flow, now Time) {
	body := p.Payload
	if i := bytes.Index(body, headEnd); i >= 0 {
		body = body[i+len(headEnd):]
	}
	if f := &e.finding; e.reply(int(fl.protocol), p, body, f) {
		fl.asked = false
		e.notePeers(h, &e.clients[h.client], f, now)
	}
}

var headEnd = []byte("\r\n\r\n")

// unclaimed deals with a direction of a connection that is of no protocol.
func (e *Engine) unclaimed(p *nfq.Packet, d *Device, h *host, slot int32, outbound bool, now Time) nfq.Verdict {
	fl := &e.flows.flows[slot]
	if !e.tellsHarmless() || fl.claimed {
		if outbound && !fl.out.HTTP() || fl.in.Done() && fl.out.Done() {
			e.flows.remove(slot)
			return nfq.AcceptDecided
		}
		return nfq.Accept
	}
	mine := fl.direction(outbound)
	switch {
	case fl.out.Harmless() && (!fl.out.HTTP() || fl.in.Done()), fl.in.Harmless() && (!fl.in.HTTP() || fl.out.Done()):
		e.flows.remove(slot)
		return nfq.AcceptHarmless
	case mine.Harmless(): // the head of one direction is over, that of the other is not
		return nfq.Accept
	}
	if outbound {
		if protocol, ok := e.encrypted(p.Payload, h, p.DstPort, now); ok {
			return e.hidden(p, d, h, fl, protocol, now)
		}
	}
	if h.client != none && e.clients[h.client].sift {
		if !fl.begun && detect.HarmlessMiddle(p.Payload) {
			e.flows.remove(slot)
			return nfq.AcceptHarmless
		}
		fl.fate = unknown
		return e.refuseUnknown(p, &e.clients[h.client])
	}
	if outbound || fl.in.Done() && fl.out.Done() {
		e.flows.remove(slot)
		return nfq.AcceptDecided
	}
	return nfq.Accept
}

// hidden deals with an encrypted session that the LAN host opened.
func (e *Engine) hidden(p *nfq.Packet, d *Device, h *host, fl *flow, protocol int, now Time) nfq.Verdict {
	f := &e.finding
	f.Reset()
	f.Kind, f.Protocol, f.Reason = detect.Session, protocol, detect.ReasonEncrypted
	v := e.session(p, d, h, &fl.key, f, true, now)
	if v == nfq.Drop {
		fl.fate = cut
		if cfg := &e.cfg.Protocols[protocol]; cfg.ResetEncrypted && e.cfg.Action != Reset && e.sender != nil {
			if err := e.sender.Reset(p); err != nil {
				e.Counters.SendErrors++
			}
		}
	}
	return v
}

// refuseUnknown drops a packet of a client that is sifted.
func (e *Engine) refuseUnknown(p *nfq.Packet, c *client) nfq.Verdict {
	if e.cfg.Protocols[c.protocol].Mode != Block {
		return nfq.Accept
	}
	c.dropped++
	c.droppedTCP++
	return nfq.Drop
}

// decoy reports whether the address is one that the client was led to.
func decoy(c *client, a *nfq.Addr) bool {
	f := detect.All[c.protocol].Decoy
	return f != nil && f((*[16]byte)(a))
}

// session handles data that says that a connection is of a P2P client.
func (e *Engine) session(p *nfq.Packet, d *Device, h *host, key *flowKey, f *detect.Finding, outbound bool, now Time) nfq.Verdict {
	block := e.cfg.Protocols[f.Protocol].Mode == Block
	c := e.met(h, f, &key.lan, d, &key.wan, key.wport, now)
	if c == nil {
		if block {
			return e.refuse(p)
		}
		return nfq.Accept
	}
	peer := e.note(h, c, &key.wan, key.wport, f.Protocol, false, now)
	switch {
	case outbound:
		c.learn(f)
	case detect.All[f.Protocol].Sift: // who speaks first came to where the client listens
		c.listen = key.lport
	}
	if c.askedAt.IsZero() {
		c.askedAt = key.lan
	}
	e.notePeers(h, c, f, now)
	e.lock(h.client, c, f.Protocol, f.Reason, now)
	if !block {
		return nfq.Accept
	}
	e.emit(Event{
		Class: ClassPeer, What: EventCut, TCP: true, Client: c.addr, MAC: c.mac,
		Peer: key.wan, Port: key.wport, Protocol: uint8(f.Protocol), Reason: f.Reason,
	})
	peer.dropped++
	c.dropped++
	c.droppedTCP++
	if outbound {
		return e.refuse(p)
	}
	return nfq.Drop
}

// ProbedTCP takes the outcome of the TCP probe with the id: b is what the client sent.
func (e *Engine) ProbedTCP(id uint64, b []byte, now Time) {
	e.now = now
	slot := int32(uint32(id))
	c := &e.clients[slot]
	if !c.used || probeID(slot, c) != id || len(b) == 0 {
		return
	}
	f := &e.finding
	f.Reset()
	var s detect.Stream
	if !e.answers(c, b) && s.Feed(e.streams&^detect.Harmless, 0, b, true, f) != detect.Yes {
		return
	}
	c.learn(f)
	e.notePeers(&e.hosts[c.host], c, f, now)
	e.answered(slot, c, now)
}
