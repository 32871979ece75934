// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Proof says how it was proved that a host runs a program. Only a proof leads to a lock:
// what others can make a host send or receive never does.
type Proof uint8

// The proofs.
const (
	ProofNone    Proof = iota
	ProofAnswer        // it answered a question that only this router could have sent
	ProofConduct       // it sent what only the program sends, to several addresses
)

var proofNames = [...]string{"", "answer", "conduct"}

// String returns the short name that the control socket uses.
func (p Proof) String() string { return proofNames[p] }

const (
	// conductTime is the longest time between two messages to different addresses that
	// together prove the program.
	conductTime = 30 * time.Second
	// neighbourPatience is the shortest time between two questions about a host's address.
	// When the answer was that nobody is known there, the time is neighbourPause.
	neighbourPatience = 10 * time.Second
	neighbourPause    = time.Second
)

// Neighbours tells whose an address is, from the kernel's neighbour table.
type Neighbours interface {
	// Ask asks whose the address is, and whether one of the flows was opened from outside;
	// zero flows are ignored. The answer comes later through Engine.Neighbour with the same
	// id. Ask does not wait. It returns false when it cannot take the question.
	Ask(id uint64, dev uint32, addr nfq.Addr, flows [2]nfq.Flow) bool
}

// said is the last message of a host that only the program sends.
type said struct {
	to   uint32 // hash of the destination address
	from uint32 // hash of the source address if it is IPv4, else 0
	when Time
	flow nfq.Flow // for UDP; zero for TCP
}

// claim is a proof that waits for the neighbour table.
type claim struct {
	when     Time // of the proof; 0: no proof waits
	addr     nfq.Addr
	until    Time // no other question before that
	protocol uint8
	reason   detect.Reason
	how      Proof
	answered bool // the answer came, and did not confirm the address
	flows    [2]nfq.Flow
}

// conduct notes that the host sent to an address what only a program of the protocol sends.
// If the client is proved already, this restarts its lock. Otherwise a second address
// proves the program. But two IPv4 source addresses may be two hosts behind a repeater:
// each needs its own proof. flow is the UDP flow, or zero: in a flow that was opened from
// outside the host may just send back what it got. If to is a proxy, inner tells
// destinations behind it apart.
func (e *Engine) conduct(h *host, c *client, protocol int, reason detect.Reason, to *nfq.Addr, inner uint32, flow nfq.Flow, now Time) {
	if c.proved.Has(protocol) {
		e.lock(h.client, c, protocol, reason, now)
		return
	}
	s, x, from := &c.said[protocol], e.hash.addr(to)^inner, uint32(0)
	if c.addr.Is4() {
		from = e.hash.addr(&c.addr) | 1
	}
	same := s.from == 0 || from == 0 || s.from == from
	if s.when != 0 && now.Since(s.when) <= conductTime && s.to != x && same {
		e.prove(h.client, c, protocol, ProofConduct, reason, [2]nfq.Flow{s.flow, flow}, now)
		return
	}
	s.to, s.from, s.when, s.flow = x, from, now, flow
}

// prove starts with a proof: first it has to be known whose the address is. A host whose
// packets carry no hardware address is alone on its link. A host behind another router is
// no neighbour: only that router may send its packets.
func (e *Engine) prove(slot int32, c *client, protocol int, how Proof, reason detect.Reason, flows [2]nfq.Flow, now Time) {
	h := &e.hosts[c.host]
	if c.proved.Has(protocol) {
		e.lock(slot, c, protocol, reason, now)
		return
	}
	c.provenAt = now
	d := e.device(c.device)
	switch {
	case d == nil: // the device disappeared a moment ago
	case e.neighbours == nil || h.via.IsZero():
		e.proven(slot, c, protocol, how, reason, now)
	case !d.onLink(&c.addr):
		if now < h.doubtful {
			e.Counters.Forged++
			return
		}
		e.proven(slot, c, protocol, how, reason, now)
	case now >= c.claim.until:
		c.claim = claim{when: now, addr: c.addr, protocol: uint8(protocol), reason: reason, how: how, flows: flows}
		e.askNeighbour(slot, c, now)
	}
}

// askNeighbour asks whose the address of the client is.
func (e *Engine) askNeighbour(slot int32, c *client, now Time) {
	w := &c.claim
	if !e.neighbours.Ask(uint64(c.number)<<32|uint64(slot), c.device, w.addr, w.flows) {
		*w = claim{}
		return
	}
	w.until, w.answered = now.After(neighbourPatience), false
}

// askAgain asks once more when nobody was known at the client's address.
func (e *Engine) askAgain(slot int32, c *client, now Time) {
	w := &c.claim
	if e.neighbours != nil && w.when != 0 && w.answered && now >= w.until && now.Since(w.when) < conductTime {
		e.askNeighbour(slot, c, now)
	}
}

// Neighbour takes the answer to a question about an address. mac is its owner, zero if
// nobody is known. shared says that this MAC has several IPv4 addresses. invited says that
// a flow was opened from outside: then the flow proves nothing.
func (e *Engine) Neighbour(id uint64, mac nfq.MAC, shared, invited bool, now Time) {
	e.now = now
	slot := int32(uint32(id))
	if slot < 0 || int(slot) >= len(e.clients) {
		return
	}
	c := &e.clients[slot]
	w := &c.claim
	if !c.used || c.number != uint32(id>>32) || w.when == 0 || w.answered {
		return
	}
	h := &e.hosts[c.host]
	switch {
	case mac.IsZero(): // the kernel may not have resolved it yet
		w.until, w.answered = now.After(neighbourPause), true
		return
	case mac != h.via:
		e.Counters.Forged++
		w.when, w.answered = 0, true
		return
	case invited:
		w.when, w.answered = 0, true
		c.said[w.protocol] = said{}
		return
	}
	claimed := *w
	c.provenAt = w.when
	*w = claim{}
	c.addr = claimed.addr
	e.claimAddr(c.host, h, &c.addr, now)
	if shared && !h.key.mac.IsZero() && !e.share(h, now) {
		return
	}
	if h.modes.on.Has(int(claimed.protocol)) {
		e.proven(slot, c, int(claimed.protocol), claimed.how, claimed.reason, now)
	}
}

// proven records that the host runs a program of the protocol, and locks it.
func (e *Engine) proven(slot int32, c *client, protocol int, how Proof, reason detect.Reason, now Time) {
	held := c.foreign && c.locked
	if held { // another engine had locked it; now this one counts it, too
		e.nlocked++
		e.Counters.Locks++
	}
	c.foreign = false
	c.proved |= 1 << protocol
	c.proof, c.protocol, c.reason = how, uint8(protocol), reason
	c.lastSeen = now
	if !c.told {
		c.told = true
		e.nfound++
		e.Counters.ClientsFound++
		e.emit(Event{
			Class: ClassClient, What: EventFound, Client: c.addr, MAC: c.mac,
			Peer: c.toldPeer.Addr, Port: c.toldPeer.Port, Protocol: uint8(protocol), Reason: reason,
		})
	}
	for i := range c.peers.peers[:c.peers.n] {
		if p := &c.peers.peers[i]; int(p.protocol) == protocol && !p.suspect && !p.told {
			e.tellPeer(c, p)
		}
	}
	e.lock(slot, c, protocol, reason, now)
	e.cutStanding(&e.hosts[c.host], c, protocol, now)
	if held {
		e.schedule(slot, c, now) // from now on this engine probes it
	}
}

// tellPeer emits the event that a proved client has this peer.
func (e *Engine) tellPeer(c *client, p *peer) {
	p.told = true
	e.emitOf(&e.hosts[c.host], Event{Class: ClassPeer, What: EventFound, Client: c.addr, MAC: c.mac, Peer: p.addr, Port: p.port, Protocol: p.protocol})
}
