// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// client is a LAN host that runs a P2P client.
type client struct {
	used     bool
	protocol uint8 // index in detect.All of what was recognised last
	reason   detect.Reason
	host     int32
	addr     nfq.Addr // from which it was recognised last
	mac      nfq.MAC
	device   uint32 // interface index it was seen on

	firstSeen, lastSeen Time

	locked bool
	// strict: no TCP connection may be opened; sift: only known connections
	// go on. Neither without locked.
	strict, sift bool
	lockStart    Time
	lockUntil    Time
	kernelUntil  Time // until then the kernel's lock set has it
	locks        uint32
	droppedTCP   uint32
	droppedUDP   uint32
	dropped      uint32

	// query is the last query of the client, port the one it came from: the
	// probe goes there.
	query    [detect.MaxQuery]byte
	queryLen uint8
	port     uint16
	askedAt  nfq.Addr
	// listen is the TCP port it listens on, way the way of probing that is
	// next, salt what made the last probe what it was.
	listen uint16
	way    uint8
	salt   uint32

	// program is its name, as far as it says.
	program detect.ClientName

	// flowsDue: connections may be left that were decided before they were to be
	// cut.
	flowsDue bool

	probed     uint8 // how many probes this lock period has seen
	lastProbe  Time
	lastAnswer Time

	peers peerTable
}

// found returns the client that h is, entering it when it is new. It returns nil
// when the table is full of locked clients.
func (e *Engine) found(h *host, protocol int, reason detect.Reason, a *nfq.Addr, d *Device, now Time) *client {
	if h.client != none {
		c := &e.clients[h.client]
		c.lastSeen, c.addr, c.device = now, *a, d.Index
		e.clientLRU.touch(h.client)
		return c
	}
	slot := e.freeClient()
	if slot == none {
		e.Counters.ClientsRefused++
		if e.fullNow(now) {
			e.emit(Event{Class: ClassTable, What: EventTableFull, Client: *a, MAC: h.key.mac})
		}
		return nil
	}
	c := &e.clients[slot]
	// The peer table is cleared in place: it is large.
	peers := &c.peers
	peers.clear()
	c.used, c.protocol, c.reason = true, uint8(protocol), reason
	c.host, c.addr, c.mac, c.device = e.slotOf(h), *a, h.key.mac, d.Index
	c.firstSeen, c.lastSeen = now, now
	c.locked, c.lockStart, c.lockUntil, c.kernelUntil = false, 0, 0, 0
	c.locks, c.dropped, c.droppedTCP, c.droppedUDP = 0, 0, 0, 0
	c.strict, c.sift, c.program = false, false, detect.ClientName{}
	c.queryLen, c.port, c.askedAt, c.probed, c.lastProbe, c.lastAnswer = 0, 0, nfq.Addr{}, 0, 0, 0
	c.listen, c.way = 0, 0
	h.client = slot
	e.clientLRU.push(slot)
	e.nclients++
	e.wheel.set(slot, now.After(e.cfg.Forget))
	e.Counters.ClientsFound++
	return c
}

// met returns the client that h is by the finding f, as found does, and says so
// when it is new. peer and port are whom it spoke to, zero where nobody is known.
func (e *Engine) met(h *host, f *detect.Finding, a *nfq.Addr, d *Device, peer *nfq.Addr, port uint16, now Time) *client {
	isNew := h.client == none
	c := e.found(h, f.Protocol, f.Reason, a, d, now)
	if c != nil && isNew {
		e.emit(Event{
			Class: ClassClient, What: EventFound, Client: c.addr, MAC: c.mac,
			Peer: *peer, Port: port, Protocol: uint8(f.Protocol), Reason: f.Reason,
		})
	}
	return c
}

// learn takes what a payload said about the client itself.
func (c *client) learn(f *detect.Finding) {
	if f.Port != 0 {
		c.listen = f.Port
	}
	// The longest form of the name says most.
	if f.Client.Len() > c.program.Len() {
		c.program = f.Client
	}
}

// fullNow limits the word about a full table to one a minute.
func (e *Engine) fullNow(now Time) bool {
	if e.fullSaid != 0 && now < e.fullSaid {
		return false
	}
	e.fullSaid = now.After(minute)
	return true
}

// freeClient returns a free slot, or that of the client that was silent longest
// and is not locked: a flood of made-up hosts must not free a locked one.
func (e *Engine) freeClient() int32 {
	if n := len(e.spareClients); n > 0 {
		s := e.spareClients[n-1]
		e.spareClients = e.spareClients[:n-1]
		return s
	}
	s := e.clientLRU.oldest()
	// Locked clients were seen lately, so the search ends soon; the bound
	// keeps it cheap when all are.
	for range 16 {
		if s == none {
			return none
		}
		if !e.clients[s].locked {
			e.Counters.ClientsEvicted++
			e.forget(s)
			return e.freeClient()
		}
		s = e.clientLRU.newer(s)
	}
	return none
}

// forget removes a client and all that was done about it.
func (e *Engine) forget(slot int32) {
	c := &e.clients[slot]
	e.emit(Event{Class: ClassClient, What: EventForgotten, Client: c.addr, MAC: c.mac, Protocol: c.protocol})
	if c.locked {
		e.release(slot, c)
	}
	e.uncutClient(c)
	e.hosts[c.host].client = none
	e.wheel.stop(slot)
	e.clientLRU.remove(slot)
	e.nclients--
	c.used = false
	e.spareClients = append(e.spareClients, slot)
}

// note enters a peer of client c, or refreshes it.
func (e *Engine) note(h *host, c *client, a *nfq.Addr, port uint16, protocol int, suspect bool, now Time) *peer {
	hash := e.hash.addr(a)
	p := c.peers.get(a, hash)
	if p == nil {
		var gone peer
		var full bool
		p, gone, full = c.peers.add(a, hash)
		if full {
			e.Counters.PeersEvicted++
			e.uncut(c, &gone)
		}
		p.first, p.protocol, p.suspect, p.port = e.seconds(now), uint8(protocol), suspect, port
		e.Counters.PeersFound++
		if !suspect {
			e.emit(Event{Class: ClassPeer, What: EventFound, Client: c.addr, MAC: c.mac, Peer: *a, Port: port, Protocol: uint8(protocol)})
		}
		e.cut(h, c, p, now)
		if p.cutsAll(e) {
			e.cutFlows(c)
		}
	} else {
		c.peers.touch(p)
		if !suspect {
			p.suspect = false
		}
		if port != 0 {
			p.port = port
		}
	}
	p.last = e.seconds(now)
	return p
}

// knows returns the peer of c at the address, or nil. A suspect counts only
// while the client is locked.
func (e *Engine) knows(c *client, a *nfq.Addr) *peer {
	p := c.peers.get(a, e.hash.addr(a))
	if p != nil && p.suspect && !c.locked {
		return nil
	}
	return p
}

// wentTo records that a client, from the address src, turned to a known peer: it
// still runs, and its lock starts again.
func (e *Engine) wentTo(slot int32, c *client, p *peer, src *nfq.Addr, now Time) {
	c.lastSeen, c.addr = now, *src
	e.clientLRU.touch(slot)
	c.peers.touch(p)
	p.last = e.seconds(now)
	e.lock(slot, c, int(p.protocol), detect.ReasonPeer, now)
}
