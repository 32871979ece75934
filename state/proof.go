// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Proof is how it was proved that a host runs a program. Only a proof locks: what
// others can make a host say or receive never does.
type Proof uint8

// The proofs.
const (
	ProofNone    Proof = iota
	ProofAnswer        // it answered a question that only the router could have put
	ProofConduct       // it sent what only the program sends, to several addresses
)

var proofNames = [...]string{"", "answer", "conduct"}

// String returns the short name that the control socket uses.
func (p Proof) String() string { return proofNames[p] }

const (
	// conductTime is within what time a host must have spoken to a second address
	// for its conduct to prove the program.
	conductTime = 30 * time.Second
	// neighbourPatience is how long an answer about a neighbour is waited for, and
	// for how long a host whose address was another's is not asked about again.
	// Where nobody was known at an address it is neighbourPause.
	neighbourPatience = 10 * time.Second
	neighbourPause    = time.Second
)

// Neighbours tells whose an address is, by the kernel's neighbour table.
type Neighbours interface {
	// Ask has the answer handed to Engine.Neighbour with the same id, later: whose
	// the address is, and whether one of the flows that are not zero was opened from
	// outside. It does not wait, and reports false when it cannot take the question.
	Ask(id uint64, dev uint32, addr nfq.Addr, flows [2]nfq.Flow) bool
}

// said is what a host sent last that only the program sends.
type said struct {
	to   uint32 // hash of the address it went to
	from uint32 // the same of the one it came from, when that is of IPv4
	when Time
	flow nfq.Flow // by UDP; zero by TCP
}

// claim is a proof that waits for the neighbour table.
type claim struct {
	when     Time // of the proof; 0: none waits
	addr     nfq.Addr
	until    Time // no other question before that
	protocol uint8
	reason   detect.Reason
	how      Proof
	answered bool // the address was another's, or nobody's
	flows    [2]nfq.Flow
}

// conduct takes note that the host sent to the address what only a program of the
// protocol sends. A second address proves the program. Of a client that is proved it
// starts the lock again. Two addresses of IPv4 may be two hosts behind a repeater: each has
// to be proved on its own. flow is the one by UDP, or zero: a server that sends back what
// it gets would say the same in a flow that was opened from outside. inner tells those apart
// that are behind one proxy, which the address is then.
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

// prove begins with a proof: whose the address is has to be known first. A host whose
// packets carry no hardware address is alone on its link. One behind another router is
// no neighbour: its packets have to come from that router alone.
func (e *Engine) prove(slot int32, c *client, protocol int, how Proof, reason detect.Reason, flows [2]nfq.Flow, now Time) {
	h := &e.hosts[c.host]
	if c.proved.Has(protocol) {
		e.lock(slot, c, protocol, reason, now)
		return
	}
	c.provenAt = now
	d := e.device(c.device)
	switch {
	case d == nil: // it went a moment ago
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

// askNeighbour asks whose the address of a client is that is to be proved.
func (e *Engine) askNeighbour(slot int32, c *client, now Time) {
	w := &c.claim
	if !e.neighbours.Ask(uint64(c.number)<<32|uint64(slot), c.device, w.addr, w.flows) {
		*w = claim{}
		return
	}
	w.until, w.answered = now.After(neighbourPatience), false
}

// askAgain asks once more about a client at whose address nobody was known.
func (e *Engine) askAgain(slot int32, c *client, now Time) {
	w := &c.claim
	if e.neighbours != nil && w.when != 0 && w.answered && now >= w.until && now.Since(w.when) < conductTime {
		e.askNeighbour(slot, c, now)
	}
}

// Neighbour takes the answer to a question about a neighbour: mac is whose the address
// is, zero where nobody is known, and shared says that several IPv4 addresses have it.
// invited says that a flow was opened from outside: then it proves nothing.
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
	case mac.IsZero(): // the kernel may not have asked for it yet
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
	if held { // by another engine, and by now by this one, too
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
		e.schedule(slot, c, now) // it is probed from here now
	}
}

// tellPeer says whom a proved client spoke to.
func (e *Engine) tellPeer(c *client, p *peer) {
	p.told = true
	e.emitOf(&e.hosts[c.host], Event{Class: ClassPeer, What: EventFound, Client: c.addr, MAC: c.mac, Peer: p.addr, Port: p.port, Protocol: p.protocol})
}
