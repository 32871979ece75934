// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// tcpOut decides about a TCP packet from the LAN to the outside.
func (e *Engine) tcpOut(p *nfq.Packet, d *Device, h *host, now Time) nfq.Verdict {
	isSYN := p.TCPFlags&(nfq.SYN|nfq.ACK|nfq.RST|nfq.FIN) == nfq.SYN
	if c := e.clientOf(h); c != nil {
		if peer := e.knows(c, &p.Dst); peer != nil && c.locked && e.refused(h, c, peer, p, isSYN) {
			if h.marks(int(peer.protocol)) {
				return e.mark()
			}
			peer.dropped++
			return e.refuse(p, c)
		}
		switch {
		case isSYN && (c.strict || c.selective && decoy(c, &p.Dst)), c.locked && c.owns(p.SrcPort):
			if e.lockMarks(c) {
				return e.mark()
			}
			return e.refuse(p, c)
		}
	}
	switch {
	case isSYN: // what was refused opens no connection
		h.remember(p, now)
		e.endFlow(p)
	case p.TCPFlags&(nfq.SYN|nfq.ACK|nfq.RST) == nfq.SYN|nfq.ACK:
		h.serve(p.SrcPort)
		e.suspectServer(p, d, h, now)
		return nfq.Accept
	case len(p.Payload) == 0:
		return e.bare(p, h, now)
	}
	return e.tcpData(p, d, h, now) // a SYN may carry data (TCP Fast Open)
}

// refused reports whether a packet to a peer is. Something else may be served at the
// address of a peer of a protocol that is not exclusive: there, its port counts. But a
// connection is opened now and then: what the client says in it is cut, and keeps the lock.
func (e *Engine) refused(h *host, c *client, peer *peer, p *nfq.Packet, isSYN bool) bool {
	switch {
	case !h.modes.holds.Has(int(peer.protocol)):
		return false
	case detect.All[peer.protocol].Exclusive:
		return true
	}
	return isSYN && peer.port == p.DstPort && peer.port >= private &&
		(h.marks(int(peer.protocol)) || e.now.Since(c.lockStart) < e.cfg.LockTime/8)
}

// clientOf returns the client that h is, or nil.
//
//go:noinline
func (e *Engine) clientOf(h *host) *client {
	if h.client == none {
		return nil
	}
	return &e.clients[h.client]
}

// tcpIn decides about a TCP packet from the outside to the LAN. What it says is no sign of
// its receiver.
func (e *Engine) tcpIn(p *nfq.Packet) nfq.Verdict {
	h := e.hostAt(&p.Dst)
	if h == nil || h.client == none || e.exempt(&p.Dst, &h.via, e.now) {
		return nfq.Accept
	}
	c := &e.clients[h.client]
	if peer := e.knows(c, &p.Src); peer != nil && e.cutsAll(h, peer) && c.locked {
		if h.marks(int(peer.protocol)) {
			return e.mark()
		}
		peer.dropped++
		return c.drop(p)
	}
	return nfq.Accept
}

// endFlow forgets an earlier connection between the same ports of the same hosts: p
// opens another. What is left of the earlier one, as the end of a hello whose
// beginning had decided about it, would have this one's data taken for out of place.
func (e *Engine) endFlow(p *nfq.Packet) {
	if e.streams == 0 {
		return
	}
	key := keyOf(p)
	if slot := e.flows.get(key, e.hash.flow(&key)); slot != none {
		e.endFlowAt(slot)
	}
}

// tcpData looks at the first data of a connection.
func (e *Engine) tcpData(p *nfq.Packet, d *Device, h *host, now Time) nfq.Verdict {
	if e.streams == 0 || len(p.Payload) == 0 {
		return nfq.Accept
	}
	key := keyOf(p)
	hash := e.hash.flow(&key)
	slot := e.flows.get(key, hash)
	if slot != none && e.flows.flows[slot].stream.Far(p.Seq) {
		// Of a later connection that the outside opened: its first packet is
		// not seen here.
		e.endFlowAt(slot)
		slot = none
	}
	if slot == none {
		if p.TCPFlags&nfq.RST != 0 {
			return nfq.Accept
		}
		e.serverName(p, d, h, now)
		slot = e.newFlow(key, hash, h)
		e.flows.flows[slot].start(h, p)
	}
	fl := &e.flows.flows[slot]
	e.flows.lru.Touch(slot)
	switch {
	case fl.fate == asked:
		return e.answeredHandshake(p, d, h, slot, now)
	case fl.login != loginNone && fl.login != loginOver:
		return e.loggedIn(p, h, slot, now)
	case fl.later > 0:
		return e.readLater(p, d, h, slot, now)
	case fl.fate == open && fl.decided != 0: // its beginning was read
		return e.unclaimed(p, d, h, slot, now)
	case fl.fate == open || !fl.stream.Done():
		return e.readFlow(p, d, h, slot, now)
	}
	return e.dropCut(p, h, fl)
}

// dropCut is the verdict about a packet of a connection that is cut.
func (e *Engine) dropCut(p *nfq.Packet, h *host, fl *flow) nfq.Verdict {
	if !h.modes.holds.Has(int(fl.protocol)) {
		return nfq.Accept
	}
	if h.marks(int(fl.protocol)) {
		return e.mark()
	}
	return e.clientOf(h).drop(p)
}

// readFlow shows the connection's next segment to those that read it.
func (e *Engine) readFlow(p *nfq.Packet, d *Device, h *host, slot int32, now Time) nfq.Verdict {
	fl := &e.flows.flows[slot]
	f := &e.finding
	f.Reset()
	seq := p.Seq
	if p.TCPFlags&nfq.SYN != 0 {
		seq++
	}
	m := e.feed(h, slot, &fl.stream, seq, p.Payload, f)
	if m == detect.Yes {
		e.claim(h, fl, f)
	}
	switch {
	case fl.claimed && !fl.sure && fl.stream.Sure():
		fl.sure = true
		e.session(d, h, fl, now)
	case fl.sure && m == detect.Yes:
		e.further(d, h, fl, f, now)
	case m == detect.No && fl.waiting: // nothing more that is known
		fl.waiting = false
		e.cutFlow(h, fl)
	case m == detect.Hint:
		e.hinted(d, h, fl, f, now)
	}
	switch {
	case m == detect.Yes && !h.marks(int(fl.protocol)) && e.mayLogin(h, fl):
		return e.login(p, h, slot, now)
	case fl.fate == cut && h.marks(int(fl.protocol)):
		if (m == detect.Yes || m == detect.More) && !fl.sure { // once it is marked, nothing more of it is seen
			return nfq.Accept
		}
		return e.mark()
	case fl.fate == cut && (m == detect.Yes || m == detect.Hint) && !e.asksThere(h, fl):
		if detect.All[fl.protocol].Login != nil && e.cfg.Action != Reset {
			e.reset(p) // it tries again, which tells that it is still there
		}
		return e.refuse(p, e.clientOf(h))
	case fl.fate == cut:
		return e.dropCut(p, h, fl)
	case m == detect.No || m == detect.Hint:
		return e.unclaimed(p, d, h, slot, now)
	}
	return nfq.Accept
}

// asksThere reports whether the host is about to be asked where it says in the connection
// that it listens. Some programs listen only as long as they think that they are connected:
// it is not told that it is not.
func (e *Engine) asksThere(h *host, fl *flow) bool {
	c, p := e.clientOf(h), detect.All[fl.protocol]
	return fl.port != 0 && p.Next != nil && p.Login == nil && c != nil && !c.proved.Has(int(fl.protocol))
}

// claim notes what was recognised in a connection. With the first of it the connection is
// cut, unless the next message of a host of which nothing is proved says more.
func (e *Engine) claim(h *host, fl *flow, f *detect.Finding) {
	fl.take(f)
	if fl.claimed && !fl.waiting {
		return
	}
	c := e.clientOf(h)
	fl.claimed, fl.waiting = true, f.Wait && (c == nil || !c.proved.Has(f.Protocol))
	if !fl.waiting {
		e.cutFlow(h, fl)
	}
}

// cutFlow cuts a connection in which a protocol was recognised, if it is to be blocked.
func (e *Engine) cutFlow(h *host, fl *flow) {
	e.Counters.Cuts++
	if h.modes.holds.Has(int(fl.protocol)) {
		fl.fate = cut
	}
}

// further takes what a later message of a session tells.
func (e *Engine) further(d *Device, h *host, fl *flow, f *detect.Finding, now Time) {
	c := e.clientOf(h)
	if c == nil {
		return
	}
	c.learn(f)
	if fl.conduct && f.TCPPort != 0 {
		e.ownPort(h, c, f.OtherPort, now)
		e.ownPort(h, c, f.TCPPort, now)
	}
	if protocol := int(fl.protocol); !c.proved.Has(protocol) {
		if s := &h.suspicion; f.TCPPort != 0 { // where it was asked before was a guess
			s.asked = min(s.asked, now-Time(askPatience))
		}
		e.suspect(h, protocol, fl.reason, &fl.key.lan, d, f.UDPPort, f.TCPPort, now)
	}
}

// hinted deals with a beginning that can be of a protocol. A locked client loses the
// connection. Any other host is asked.
func (e *Engine) hinted(d *Device, h *host, fl *flow, f *detect.Finding, now Time) {
	protocol := f.Protocol
	if c := e.clientOf(h); c != nil && c.locked && c.proved.Has(protocol) {
		fl.protocol = uint8(protocol)
		e.cutFlow(h, fl)
		return
	}
	port := f.TCPPort
	switch {
	case port != 0:
	case fl.begun:
		port = detect.All[protocol].Port
	default: // who speaks first may have been called
		port = fl.key.lport
	}
	e.suspect(h, protocol, f.Reason, &fl.key.lan, d, f.UDPPort, port, now)
}

// unclaimed deals with a connection in whose beginning no protocol was recognised.
func (e *Engine) unclaimed(p *nfq.Packet, d *Device, h *host, slot int32, now Time) nfq.Verdict {
	fl := &e.flows.flows[slot]
	c := e.clientOf(h)
	locked := c != nil && c.selective
	switch {
	case fl.claimed: // and only watched
		return e.letGo(slot)
	case fl.decided != 0 && (!locked || fl.decided >= c.lookedAnew):
		// It was let pass a moment ago, and this was on its way already.
		return e.letGo(slot)
	case !fl.begun && h.serves(fl.key.lport):
		// It comes from outside, to a server of the host. At its own port a client is
		// cut as a whole.
		return e.letGo(slot)
	}
	runs := detect.No
	if !locked {
		runs = e.runs(p, d, h, slot, now)
	}
	if runs == detect.Yes {
		return nfq.Drop
	}
	if v, ok := e.stood(p, h, slot, now); ok {
		return v
	}
	if runs == detect.More {
		return nfq.Accept
	}
	if !fl.begun && fl.decided == 0 && !locked && !h.forgets(now) {
		if i := e.hides(h, p.Payload); i != none {
			// Who connected to the host was answered so, as far as is known.
			e.suspect(h, i, detect.ReasonEncrypted, &fl.key.lan, d, 0, fl.key.lport, now)
		}
	}
	hidden := none
	if fl.begun || fl.decided == 0 && h.forgets(now) {
		if p.Seq == fl.stream.Began() {
			hidden = e.hides(h, p.Payload)
		} else if fl.waits > 0 && h.modes.blocks.Has(int(fl.protocol)) {
			return c.drop(p) // what it is behind comes again
		}
	}
	switch {
	case hidden != none:
		return e.hidden(p, d, h, slot, hidden, now)
	case fl.begun:
		if j := e.judgement(h, fl, now); j == unknown || j == ended || j == stopped {
			e.judge(h, fl, other, now)
		}
	case locked:
		if j := e.judgement(h, fl, now); j == innocent || j == other {
			break
		}
		m := detect.Yes
		if s := h.attempt(&fl.key); s == nil || !s.hidden {
			m = e.inMiddle(c, fl, p.Payload, p.TCPFlags&nfq.PSH != 0)
		}
		if m == detect.Yes && h.marks(int(fl.protocol)) {
			if fl.middle.Sure || !service(fl) || c.disguised {
				return e.markHidden(h, fl, now)
			}
		} else if m == detect.Yes && (fl.middle.Sure || !service(fl) || c.disguised || e.mayAsk(h, fl, now)) {
			fl.fate = cut
			e.Counters.Cuts++
			if fl.middle.Sure && service(fl) {
				e.disguise(c)
			}
			e.reset(p) // its program connects again, and shows what it is
			return c.drop(p)
		}
		if m == detect.Yes {
			fl.waits++
		}
		if m != detect.No && fl.waits < middleMost {
			return nfq.Accept
		}
	}
	return e.letGo(slot)
}

// drop counts a TCP packet that is dropped; c may be nil.
//
//go:noinline
func (c *client) drop(p *nfq.Packet) nfq.Verdict {
	if c != nil {
		c.tally.drop(p)
		c.dropped++
		c.droppedTCP++
	}
	return nfq.Drop
}

// decoy reports whether the address is one that the client was led to.
func decoy(c *client, a *nfq.Addr) bool {
	f := detect.All[c.protocol].Decoy
	return f != nil && f((*[16]byte)(a))
}

// session deals with a connection that the LAN host has shown to be of a protocol, in its
// own words.
func (e *Engine) session(d *Device, h *host, fl *flow, now Time) {
	protocol, key := int(fl.protocol), &fl.key
	if !h.modes.on.Has(protocol) { // since it was recognised
		return
	}
	c := e.enter(h, protocol, fl.reason, &key.lan, d, now)
	if c == nil {
		return
	}
	if c.toldPeer.Addr.IsZero() {
		c.toldPeer = nfq.AddrPort{Addr: key.wan, Port: key.wport}
	}
	f := &e.finding
	if fl.port != 0 {
		f.TCPPort = fl.port
	}
	// Who speaks first came to where the client listens, unless it spoke before.
	if !fl.begun && !h.forgets(now) && e.standingOf(&key.lan) == nil {
		f.TCPPort = key.lport
	}
	c.learn(f)
	if fl.conduct && f.TCPPort != 0 {
		e.ownPort(h, c, f.OtherPort, now)
		e.ownPort(h, c, f.TCPPort, now)
	}
	if c.askedAt.IsZero() {
		c.askedAt = key.lan
	}
	inner := fl.stream.Inner()
	if inner == 0 { // a proxy is no peer
		e.note(h, c, &key.wan, key.wport, protocol, false, now).dropped++
	}
	f.Protocol = protocol
	if f.N == 0 && fl.named.Port != 0 { // an earlier part of the head had it
		f.Peers[0], f.N = fl.named, 1
	}
	e.notePeers(h, c, f, now)
	switch {
	case !fl.conduct:
	case fl.begun:
		e.conduct(h, c, protocol, fl.reason, &key.wan, inner, nfq.Flow{}, now)
		for i := range f.Peers[:f.N] {
			if a := nfq.Addr(f.Peers[i].Addr); !e.ours(&a) {
				e.conduct(h, c, protocol, fl.reason, &a, 0, nfq.Flow{}, now)
			}
		}
	case c.proved.Has(protocol):
		// What was opened from outside proves nothing: a server that sends back
		// what it gets would say the same.
		e.lock(h.client, c, protocol, fl.reason, now)
	}
	if !c.proved.Has(protocol) {
		port := f.TCPPort
		if port == 0 {
			port = detect.All[protocol].Port
		}
		udp := f.UDPPort
		if udp == 0 {
			udp = port
		}
		e.suspect(h, protocol, fl.reason, &key.lan, d, udp, port, now)
	}
	if h.modes.blocks.Has(protocol) {
		e.tellCut(h, c, key, true, protocol, fl.reason)
	}
}

// tellCut says that something of a host is cut: of its client, or nil where none is known.
func (e *Engine) tellCut(h *host, c *client, k *flowKey, tcp bool, protocol int, reason detect.Reason) {
	addr, mac := k.lan, h.key.mac
	if c != nil {
		addr, mac = c.addr, c.mac
	}
	e.emitOf(h, Event{
		Class: ClassPeer, What: EventCut, TCP: tcp, Client: addr, MAC: mac,
		Peer: k.wan, Port: k.wport, Protocol: uint8(protocol), Reason: reason,
	})
}

// ProbedTCP takes the outcome of the TCP probe with the number id: b is what came back, nil
// where nobody took the connection.
func (e *Engine) ProbedTCP(id uint64, b []byte, now Time) {
	e.now = now
	slot, salt := int32(id>>32&probeSlots), uint32(id)
	if id&standingProbe != 0 {
		e.askedStanding(id, b, now)
		return
	}
	if id&suspectProbe != 0 {
		e.askedTCP(slot, salt, b, now)
		return
	}
	if slot < 0 || int(slot) >= len(e.clients) {
		return
	}
	c := &e.clients[slot]
	probes := detect.All[c.protocol].Probes
	if !c.used || !c.locked || c.salt != salt || len(b) == 0 || int(c.way) >= len(probes) {
		return
	}
	f := &e.finding
	if !e.tells(int(c.protocol), &probes[c.way], c.words(&probes[c.way]), b, salt, f) {
		return
	}
	f.Protocol = int(c.protocol)
	c.learn(f)
	if c.listen == 0 {
		c.listen = c.port
		if i, ports := int(id>>guessAt), detect.All[c.protocol].Ports; i > 0 && i <= len(ports) {
			c.listen = ports[i-1]
		}
	}
	e.ownPort(&e.hosts[c.host], c, c.listen, now)
	e.notePeers(&e.hosts[c.host], c, f, now)
	e.answered(slot, c, now)
}
