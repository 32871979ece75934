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
	neighbourPatience = 10 * time.Second
)

// Neighbours tells whose an address is, by the kernel's neighbour table.
type Neighbours interface {
	// Ask has the answer handed to Engine.Neighbour with the same id, later. It
	// does not wait, and reports false when it cannot take the question.
	Ask(id uint64, dev uint32, addr nfq.Addr) bool
}

// said is what a host sent last that only the program sends.
type said struct {
	to   uint32 // hash of the address it went to
	when Time
}

// claim is a proof that waits for the neighbour table.
type claim struct {
	when     Time // 0: none waits
	protocol uint8
	reason   detect.Reason
	how      Proof
	refused  bool // the address was another's
}

// conduct takes note that the host sent to the address what only a program of the
// protocol sends. A second address proves the program. Of a client that is proved it
// starts the lock again.
func (e *Engine) conduct(h *host, c *client, protocol int, reason detect.Reason, to *nfq.Addr, now Time) {
	if c.proved.Has(protocol) {
		e.lock(h.client, c, protocol, reason, now)
		return
	}
	s, x := &c.said[protocol], e.hash.addr(to)
	if s.when != 0 && now.Since(s.when) <= conductTime && s.to != x {
		e.prove(h.client, c, protocol, ProofConduct, reason, now)
		return
	}
	s.to, s.when = x, now
}

// prove begins with a proof: whose the address is has to be known first. A host whose
// packets carry no hardware address is alone on its link.
func (e *Engine) prove(slot int32, c *client, protocol int, how Proof, reason detect.Reason, now Time) {
	h := &e.hosts[c.host]
	if c.proved.Has(protocol) {
		e.lock(slot, c, protocol, reason, now)
		return
	}
	c.provenAt = now
	if e.neighbours == nil || h.via.IsZero() {
		e.proven(slot, c, protocol, how, reason, now)
		return
	}
	w := &c.claim
	if w.when != 0 && now.Since(w.when) < neighbourPatience {
		return
	}
	*w = claim{}
	if e.neighbours.Ask(uint64(c.number)<<32|uint64(slot), c.device, c.addr) {
		*w = claim{when: now, protocol: uint8(protocol), reason: reason, how: how}
	}
}

// Neighbour takes the answer to a question about a neighbour: mac is whose the address
// is, zero where nobody is known, and shared says that several IPv4 addresses have it.
func (e *Engine) Neighbour(id uint64, mac nfq.MAC, shared bool, now Time) {
	e.now = now
	slot := int32(uint32(id))
	if slot < 0 || int(slot) >= len(e.clients) {
		return
	}
	c := &e.clients[slot]
	w := &c.claim
	if !c.used || c.number != uint32(id>>32) || w.when == 0 || w.refused {
		return
	}
	h := &e.hosts[c.host]
	if mac != h.via {
		e.Counters.Forged++
		w.refused = true
		return
	}
	if shared && !h.key.mac.IsZero() {
		e.share(h, now)
	}
	protocol, reason, how := int(w.protocol), w.reason, w.how
	c.provenAt = w.when
	*w = claim{}
	if e.cfg.Protocols[protocol].Mode != Off {
		e.proven(slot, c, protocol, how, reason, now)
	}
}

// proven records that the host runs a program of the protocol, and locks it.
func (e *Engine) proven(slot int32, c *client, protocol int, how Proof, reason detect.Reason, now Time) {
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
}

// tellPeer says whom a proved client spoke to.
func (e *Engine) tellPeer(c *client, p *peer) {
	p.told = true
	e.emit(Event{Class: ClassPeer, What: EventFound, Client: c.addr, MAC: c.mac, Peer: p.addr, Port: p.port, Protocol: p.protocol})
}
