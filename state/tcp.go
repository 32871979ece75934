// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
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
		if peer := e.knows(c, &p.Dst); peer != nil {
			if e.cfg.Protocols[peer.protocol].Mode != Block {
				return nfq.Accept
			}
			if !peer.suspect {
				e.wentTo(h.client, c, peer, &p.Src, now)
			}
			peer.dropped++
			c.dropped++
			c.droppedTCP++
			return e.refuse(p)
		}
		if isSYN && c.locked {
			c.dropped++
			c.droppedTCP++
			return e.refuse(p)
		}
	}
	if isSYN {
		return nfq.Accept
	}
	return e.tcpData(p, d, h, true, now)
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
		if peer := e.knows(c, &p.Src); peer != nil {
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

// tcpData looks at the first data of a connection.
func (e *Engine) tcpData(p *nfq.Packet, d *Device, h *host, outbound bool, now Time) nfq.Verdict {
	if e.streams == 0 {
		return nfq.Accept
	}
	if len(p.Payload) == 0 {
		return nfq.Accept
	}
	key := flowKey{lan: p.Src, wan: p.Dst, lport: p.SrcPort, wport: p.DstPort}
	if !outbound {
		key = flowKey{lan: p.Dst, wan: p.Src, lport: p.DstPort, wport: p.SrcPort}
	}
	hash := e.hash.flow(&key)
	slot := e.flows.get(key, hash)
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
	}
	fl := &e.flows.flows[slot]
	e.flows.lru.touch(slot)
	stream := &fl.in
	if outbound {
		stream = &fl.out
	}
	f := &e.finding
	f.Reset()
	switch e.feed(slot, stream, p.Seq, p.Payload, outbound, f) {
	case detect.Yes:
		e.Counters.Cuts++
		return e.session(p, d, h, &key, f, outbound, now)
	case detect.No:
		if outbound && !fl.out.HTTP() || fl.in.Done() && fl.out.Done() {
			e.flows.remove(slot)
			return nfq.AcceptDecided
		}
	}
	return nfq.Accept
}

// session handles data that says that a connection is of a P2P client.
func (e *Engine) session(p *nfq.Packet, d *Device, h *host, key *flowKey, f *detect.Finding, outbound bool, now Time) nfq.Verdict {
	isNew := h.client == none
	block := e.cfg.Protocols[f.Protocol].Mode == Block
	c := e.found(h, f.Protocol, f.Reason, &key.lan, d, now)
	if c == nil {
		if block {
			return e.refuse(p)
		}
		return nfq.Accept
	}
	if isNew {
		e.announce(c, f, &key.wan, key.wport)
	}
	peer := e.note(h, c, &key.wan, key.wport, f.Protocol, false, now)
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

// ProbedTCP takes the outcome of a TCP probe: b is what the client sent.
func (e *Engine) ProbedTCP(slot int32, addr nfq.Addr, b []byte, now Time) {
	e.now = now
	c := &e.clients[slot]
	if !c.used || c.askedAt != addr || len(b) == 0 {
		return
	}
	var s detect.Stream
	f := &e.finding
	f.Reset()
	if s.Feed(e.streams, 0, b, true, f) != detect.Yes {
		return
	}
	e.notePeers(&e.hosts[c.host], c, f, now)
	e.answered(slot, c, now)
}
