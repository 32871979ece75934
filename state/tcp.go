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
	case isSYN: // after the cases above: what was refused opens no connection
		h.remember(p, p.Seq, now)
		e.endFlow(p, h)
	case p.TCPFlags&(nfq.SYN|nfq.ACK|nfq.RST) == nfq.SYN|nfq.ACK:
		// At its first connection a port may wait for this one peer, as that of a transfer by
		// active FTP does. A question could then be accepted in the peer's place.
		if h.serves(p.SrcPort) {
			e.suspectServer(p, d, h, now)
		}
		h.serve(p.SrcPort)
		return nfq.Accept
	case len(p.Payload) == 0:
		return e.bare(p, h, now)
	case p.Begins:
		e.begins(p, h, now)
		if c := e.clientOf(h); c != nil && c.strict {
			return e.begunBefore(p, h, c)
		}
	}
	return e.tcpData(p, d, h, now) // a SYN may carry data (TCP Fast Open)
}

// begins notes the connection whose first data p is: its SYN was not queued. If it was, being
// repeated, its sequence number is surer: p may have overtaken other data.
func (e *Engine) begins(p *nfq.Packet, h *host, now Time) {
	k := keyOf(p)
	if s := h.attempt(&k); s != nil && p.Seq-s.seq-1 < detect.StreamLimit {
		return
	}
	h.remember(p, p.Seq-1, now)
	e.endFlow(p, h)
}

// begunBefore cuts a connection of a host under a strict lock: the kernel let its SYN pass
// before the lock, and p is its first data.
func (e *Engine) begunBefore(p *nfq.Packet, h *host, c *client) nfq.Verdict {
	if e.lockMarks(c) {
		return e.mark()
	}
	key := keyOf(p)
	hash := e.hash.flow(&key)
	slot := e.flows.get(&key, hash)
	if slot == none {
		slot = e.newFlow(&key, hash, h)
	}
	fl := &e.flows.flows[slot]
	fl.protocol = c.protocol
	e.cutFlow(h, fl)
	return e.refuse(p, c)
}

// refused reports whether a packet to a peer is dropped. If the peer's protocol is not
// exclusive, its address may also serve something else: there only SYNs to the peer's port
// are dropped. An eighth of the lock time later they pass, too: the client's data in the
// connection is cut, and renews the lock.
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

// clientOf returns the client of host h, or nil.
//
//go:noinline
func (e *Engine) clientOf(h *host) *client {
	if h.client == none {
		return nil
	}
	return &e.clients[h.client]
}

// tcpIn decides about a TCP packet from the outside to the LAN. Its contents say nothing
// about its receiver. On a client that is locked they say which connection is the client's.
func (e *Engine) tcpIn(p *nfq.Packet) nfq.Verdict {
	h := e.hostAt(&p.Dst)
	if h == nil || e.exempt(&p.Dst, &h.via, e.now) {
		return nfq.Accept
	}
	c := e.clientOf(h)
	if c == nil {
		return e.received(p, h, nil)
	}
	if peer := e.knows(c, &p.Src); peer != nil && e.cutsAll(h, peer) && c.locked {
		if h.marks(int(peer.protocol)) {
			return e.mark()
		}
		peer.dropped++
		return c.drop(p)
	}
	return e.received(p, h, c)
}

// endFlow forgets an earlier connection with the same addresses and ports: p opens a new
// one. Otherwise the end of the earlier one would make the new one's data look out of
// order.
func (e *Engine) endFlow(p *nfq.Packet, h *host) {
	if h.flows == 0 {
		return
	}
	key := keyOf(p)
	if slot := e.flows.get(&key, e.hash.flow(&key)); slot != none {
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
	slot := e.flows.get(&key, hash)
	if slot != none && e.flows.flows[slot].stream.Far(p.Seq) {
		// It belongs to a later connection that somebody outside opened. The engine does
		// not see its first packet.
		e.endFlowAt(slot)
		slot = none
	}
	if slot == none {
		if p.TCPFlags&nfq.RST != 0 {
			return nfq.Accept
		}
		e.serverName(p, d, h, now)
		slot = e.newFlow(&key, hash, h)
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
	case fl.fate == open && fl.decided != 0: // its beginning was read before
		return e.unclaimed(p, d, h, slot, now)
	case fl.fate == open || !fl.stream.Done():
		return e.readFlow(p, d, h, slot, now)
	}
	return e.dropCut(p, h, fl)
}

// dropCut decides about a packet of a connection that is cut.
func (e *Engine) dropCut(p *nfq.Packet, h *host, fl *flow) nfq.Verdict {
	if !h.modes.holds.Has(int(fl.protocol)) {
		return nfq.Accept
	}
	if h.marks(int(fl.protocol)) {
		return e.mark()
	}
	if !fl.begun && !fl.claimed {
		e.reset(p) // an earlier reset did not fit what the host had received by then
	}
	return e.clientOf(h).drop(p)
}

// readFlow passes the connection's next segment to the protocols that read it.
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
	case m == detect.No && fl.waiting: // the next message was nothing known
		fl.waiting = false
		e.cutFlow(h, fl)
	case m == detect.Hint:
		e.hinted(d, h, fl, f, now)
	}
	switch {
	case m == detect.Yes && !h.marks(int(fl.protocol)) && e.mayLogin(h, fl):
		return e.login(p, h, slot, now)
	case fl.fate == cut && h.marks(int(fl.protocol)):
		if (m == detect.Yes || m == detect.More) && !fl.sure { // after the mark the engine sees no more of the connection
			return nfq.Accept
		}
		return e.mark()
	case fl.fate == cut && (m == detect.Yes || m == detect.Hint) && !e.asksThere(h, fl):
		if detect.All[fl.protocol].Login != nil && e.cfg.Action != Reset {
			e.reset(p) // it connects again, and that shows that it still runs
		}
		return e.refuse(p, e.clientOf(h))
	case fl.fate == cut:
		return e.dropCut(p, h, fl)
	case m == detect.No || m == detect.Hint:
		return e.unclaimed(p, d, h, slot, now)
	}
	return nfq.Accept
}

// asksThere reports whether the engine is about to ask the host at the port that it named
// in this connection. Some programs listen only while they believe that they are connected.
// So this connection is not reset.
func (e *Engine) asksThere(h *host, fl *flow) bool {
	c, p := e.clientOf(h), detect.All[fl.protocol]
	return fl.port != 0 && p.Next != nil && p.Login == nil && c != nil && !c.proved.Has(int(fl.protocol))
}

// claim notes what was recognised in a connection. Usually the first recognised data cuts
// it. If the host has no proof yet, the connection may go on until its next message has
// told more.
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

// cutFlow counts a connection in which a protocol was recognised, and cuts or marks it if
// the mode says so.
func (e *Engine) cutFlow(h *host, fl *flow) {
	e.Counters.Cuts++
	if h.modes.holds.Has(int(fl.protocol)) {
		fl.fate = cut
	}
}

// further handles what a later message of a session tells.
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
		if s := &h.suspicion; f.TCPPort != 0 { // the port asked before was a guess
			s.asked = min(s.asked, now-Time(askPatience))
		}
		e.suspect(h, protocol, fl.reason, &fl.key.lan, d, f.UDPPort, f.TCPPort, now)
	}
}

// hinted handles a beginning that may be the protocol's. A locked client loses the
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
	default: // the outside may have connected to this port
		port = fl.key.lport
	}
	e.suspect(h, protocol, f.Reason, &fl.key.lan, d, f.UDPPort, port, now)
}

// unclaimed handles a connection in whose beginning no protocol was recognised.
func (e *Engine) unclaimed(p *nfq.Packet, d *Device, h *host, slot int32, now Time) nfq.Verdict {
	fl := &e.flows.flows[slot]
	c := e.clientOf(h)
	locked := c != nil && c.selective
	switch {
	case fl.claimed: // it is only watched
		return e.letGo(slot)
	case fl.decided != 0 && (!locked || fl.decided >= c.lookedAnew):
		// It was accepted a moment ago, and this segment was already on its way.
		return e.letGo(slot)
	case !fl.begun && h.serves(fl.key.lport):
		// Somebody outside uses a server of the host. A client's own port is cut as a whole
		// elsewhere.
		return e.letGo(slot)
	}
	if !fl.begun { // what is sent again begins no message
		if fl.read != 0 && int32(p.Seq-fl.read) < 0 && fl.waits == 0 { // it was not dropped to be sent again
			return nfq.Accept
		}
		fl.read = p.Seq + uint32(p.PayloadLen)
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
	if !locked {
		e.suspectAnswer(p, d, h, fl, now)
	}
	hidden := none
	if fl.begun || fl.decided == 0 && h.forgets(now) {
		if p.Seq == fl.stream.Began() {
			hidden = e.hides(h, fl, p.Payload)
		} else if fl.waits > 0 && h.modes.blocks.Has(int(fl.protocol)) {
			return c.drop(p) // what this follows will be sent again
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
		if v, ok := e.unknownOfLocked(p, h, c, slot, now); ok {
			return v
		}
	}
	return e.letGo(slot)
}

// suspectAnswer suspects the host if somebody outside seems to have connected to it, and the
// segment is its encrypted answer.
func (e *Engine) suspectAnswer(p *nfq.Packet, d *Device, h *host, fl *flow, now Time) {
	if fl.begun || fl.decided != 0 || h.forgets(now) || service(fl) {
		return
	}
	if i := e.hides(h, fl, p.Payload); i != none {
		e.suspect(h, i, detect.ReasonEncrypted, &fl.key.lan, d, 0, fl.key.lport, now)
	}
}

// unknownOfLocked decides about a connection of a locked client whose beginning nobody saw. It
// returns false if nothing in it looks like the client's.
func (e *Engine) unknownOfLocked(p *nfq.Packet, h *host, c *client, slot int32, now Time) (nfq.Verdict, bool) {
	fl := &e.flows.flows[slot]
	if j := e.judgement(h, fl, now); j == innocent || j == other {
		return 0, false
	}
	m := detect.Yes
	if s := h.attempt(&fl.key); s == nil || !s.hidden {
		m = e.inMiddle(c, fl, p.Payload, p.TCPFlags&nfq.PSH != 0, now)
	}
	likely := fl.middle.Sure || fl.middle.Likely
	if m == detect.Yes && h.marks(int(fl.protocol)) {
		if likely || !service(fl) || c.disguised != 0 {
			return e.markHidden(h, fl, now), true
		}
	} else if m == detect.Yes && (likely || !service(fl) || c.disguised != 0 || e.mayAsk(h, fl, now)) {
		fl.fate = cut
		e.Counters.Cuts++
		if likely && service(fl) {
			e.disguise(c, fl)
		}
		e.reset(p) // its program connects again, and shows what it is
		return c.drop(p), true
	}
	if m == detect.Yes {
		fl.waits++
	}
	return nfq.Accept, m != detect.No && fl.waits < middleMost
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

// decoy reports whether the address is one that an answer gave the client as a decoy.
func decoy(c *client, a *nfq.Addr) bool {
	f := detect.All[c.protocol].Decoy
	return f != nil && f((*[16]byte)(a))
}

// session handles a connection in which the LAN host's own data has shown a protocol.
func (e *Engine) session(d *Device, h *host, fl *flow, now Time) {
	protocol, key := int(fl.protocol), &fl.key
	if !h.modes.on.Has(protocol) { // the mode has changed since
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
	// If the outside opened the connection, its local port is where the client listens. The
	// engine must be sure that it has not missed the host's SYN.
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
	if f.N == 0 && fl.named.Port != 0 { // an earlier part of the head named the peer
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
		// A connection opened from outside proves nothing: a server that sends back what it
		// gets would look the same.
		e.lock(h.client, c, protocol, fl.reason, now)
	}
	if !c.proved.Has(protocol) {
		e.askSession(d, h, fl, f, now)
	}
	if h.modes.blocks.Has(protocol) {
		e.tellCut(h, c, key, true, protocol, fl.reason)
	}
}

// askSession asks a host at the ports that its session named, else at the usual port.
func (e *Engine) askSession(d *Device, h *host, fl *flow, f *detect.Finding, now Time) {
	p2p, port, udp := detect.All[fl.protocol], f.TCPPort, f.UDPPort
	if port == 0 {
		port = p2p.Port
	}
	if udp == 0 && p2p.OnePort {
		udp = port
	}
	e.suspect(h, int(fl.protocol), fl.reason, &fl.key.lan, d, udp, port, now)
}

// tellCut emits the event that something of a host was cut. c is its client, or nil.
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

// ProbedTCP handles the result of the TCP probe with number id. b is what came back, nil if
// nobody accepted the connection.
func (e *Engine) ProbedTCP(id uint64, b []byte, now Time) {
	e.now = now
	slot, salt := int32(id>>32&probeSlots), uint32(id)
	if id&standingProbe != 0 {
		e.askedStanding(id, b, now)
		return
	}
	if id&suspectProbe != 0 {
		e.askedTCP(id, b, now)
		return
	}
	if slot < 0 || int(slot) >= len(e.clients) {
		return
	}
	c := &e.clients[slot]
	probes, way := detect.All[c.protocol].Probes, int(salt&saltWay)
	if !c.used || !c.locked || (c.salt^salt)&^saltWay != 0 || len(b) == 0 || way >= len(probes) {
		return
	}
	f := &e.finding
	if !e.tells(int(c.protocol), &probes[way], c.words(&probes[way]), b, salt, f) {
		return
	}
	c.way = uint8(way)
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
