// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// client is a LAN host that has itself sent something of a protocol. Until there is proof
// it is a suspect: the engine asks it, and cuts only what was recognised.
type client struct {
	_        [0]func() // not comparable: code to compare it costs flash
	used     bool
	told     bool  // the event "found" was emitted
	foreign  bool  // another engine has proved it and deals with it
	protocol uint8 // index in detect.All of the protocol recognised last
	reason   detect.Reason
	host     int32
	addr     nfq.Addr // its address when it was recognised last
	mac      nfq.MAC
	device   uint32 // index of the interface that it was seen on
	number   uint32 // tells it from earlier clients in this slot

	firstSeen, lastSeen Time

	// proved is the set of protocols that it was proved to run. It is empty again after a
	// release. proof is the kind of the last proof, ProofNone if there never was one.
	proved detect.Set
	proof  Proof
	said   [detect.MaxProtocols]said
	claim  claim
	// provenAt is when it showed the conduct that proved it.
	provenAt Time
	// toldPeer is the peer of the connection or datagram that was recognised first.
	toldPeer nfq.AddrPort

	locked bool
	// strict: it may open no TCP connection. selective: its own ports are cut, and
	// connections that turn out to be the client's. Both imply locked.
	strict, selective bool
	// marked: the kernel knows that it has to mark this client's packets, not drop them.
	marked bool
	// sessions counts its WebRTC sessions that were cut since the lock began.
	sessions uint8
	// disguised is the last port of a well-known service where it had a peer, 0 for none.
	disguised uint16
	// own are the client's own ports, the newest first; 0 for an empty place.
	own         [maxOwn]uint16
	since       Time // when the lock began
	lookedAnew  Time // when its connections were last looked at anew
	lockStart   Time
	lockUntil   Time
	kernelUntil Time // when the client's element in the kernel's lock set ends
	locks       uint32
	droppedTCP  uint32
	droppedUDP  uint32
	dropped     uint32
	tally       tally

	// query is the client's last query. port is the port it came from: probes go there.
	query    [detect.MaxQuery]byte
	queryLen uint8
	hash     [20]byte // the info-hash that it named last, or zero
	key      [16]byte // the key that it revealed last, or zero
	port     uint16
	askedAt  nfq.Addr
	// listen is the TCP port that it listens on. way is the next way of probing. salt is
	// the salt of the last probe (see saltWay). guess is the next place in Protocol.Ports.
	listen uint16
	guess  uint8
	way    uint8
	salt   uint32

	// program is the name of the program, if the client tells it.
	program detect.ClientName

	// flowsDue: connections that the kernel accepted before the cut may still be open.
	flowsDue bool

	answers budget // budget of answers in its peers' names

	probed     uint8 // probes sent in this lock period
	lastProbe  Time
	lastAnswer Time

	peers peerTable
}

// enter returns the client of host h, and creates it if it is new. It returns nil when the
// table has no place for it.
func (e *Engine) enter(h *host, protocol int, reason detect.Reason, a *nfq.Addr, d *Device, now Time) *client {
	if h.client != none {
		c := &e.clients[h.client]
		c.lastSeen, c.addr, c.device = now, *a, d.Index
		if c.proved == 0 {
			c.protocol, c.reason = uint8(protocol), reason
		}
		e.clientLRU.Touch(h.client)
		return c
	}
	slot := e.freeClient(now)
	if slot == none {
		e.Counters.ClientsRefused++
		if e.fullNow(now) {
			e.emit(Event{Class: ClassTable, What: EventTableFull, Client: *a, MAC: h.key.mac})
		}
		return nil
	}
	c := &e.clients[slot]
	// Clear the peer table in place: it is large.
	c.peers.clear()
	number := c.number + 1
	c.used, c.told, c.foreign, c.protocol, c.reason = true, false, false, uint8(protocol), reason
	c.host, c.addr, c.mac, c.device, c.number = h.slot, *a, h.key.mac, d.Index, number
	c.firstSeen, c.lastSeen = now, now
	c.proved, c.proof, c.claim, c.provenAt, c.toldPeer = 0, ProofNone, claim{}, 0, nfq.AddrPort{}
	clear(c.said[:])
	c.locked, c.since, c.lookedAnew, c.lockStart, c.lockUntil, c.kernelUntil = false, 0, 0, 0, 0, 0
	c.locks, c.dropped, c.droppedTCP, c.droppedUDP, c.tally = 0, 0, 0, 0, tally{}
	c.marked, c.strict, c.selective, c.disguised, c.sessions, c.program = false, false, false, 0, 0, detect.ClientName{}
	c.own = [maxOwn]uint16{}
	c.hash, c.key, c.answers = [20]byte{}, [16]byte{}, budget{}
	c.queryLen, c.port, c.askedAt, c.probed, c.lastProbe, c.lastAnswer = 0, 0, nfq.Addr{}, 0, 0, 0
	c.listen, c.guess, c.way, c.flowsDue = 0, 0, 0, false
	h.client = slot
	e.clientLRU.Push(slot)
	e.schedule(slot, c, now)
	return c
}

// learn stores what a payload says about the client itself.
//
//go:noinline
func (c *client) learn(f *detect.Finding) {
	if f.TCPPort != 0 {
		c.listen = f.TCPPort
	}
	if f.UDPPort != 0 {
		c.port = f.UDPPort
	}
	if f.Hash != [20]byte{} {
		c.hash = f.Hash
	}
	if f.Key != [16]byte{} {
		c.key = f.Key
	}
	// The longest form of the name says most.
	if f.Client.Len() > c.program.Len() {
		c.program = f.Client
	}
}

// words returns the client's own words that a question needs: its info-hash, its key or its
// last query. c may be nil.
//
//go:noinline
func (c *client) words(way *detect.Probe) []byte {
	switch {
	case c == nil:
		return nil
	case way.Hash && c.hash != [20]byte{}:
		return c.hash[:]
	case way.Key && c.key != [16]byte{}:
		return c.key[:]
	case way.Hash || way.Key:
		return nil
	}
	return c.query[:c.queryLen]
}

// fullNow limits the event "table full" to one a minute.
func (e *Engine) fullNow(now Time) bool {
	if e.fullSaid != 0 && now < e.fullSaid {
		return false
	}
	e.fullSaid = now.After(minute)
	return true
}

// freeClient returns a free slot. When there is none, a client gives way: first one without
// proof, else one that is not locked and was silent for two lock times. So made-up hosts
// only displace each other.
func (e *Engine) freeClient(now Time) int32 {
	if n := len(e.spareClients); n > 0 {
		s := e.spareClients[n-1]
		e.spareClients = e.spareClients[:n-1]
		return s
	}
	found, best := int32(none), 0
	for s := e.clientLRU.Oldest(); s != none && best < mostSpare; s = e.clientLRU.Newer(s) {
		if r := e.spare(&e.clients[s], now); r > best {
			found, best = s, r
		}
	}
	if found == none {
		return none
	}
	e.Counters.ClientsEvicted++
	e.forget(found)
	return e.freeClient(now)
}

// mostSpare is the highest value of spare.
const mostSpare = 5

// spare returns how readily the client gives way to another: 0 for never, mostSpare for at
// once.
func (e *Engine) spare(c *client, now Time) (n int) {
	if c.proof != ProofNone || c.locked { // another engine may have locked it
		if !c.locked && now.Since(c.lastSeen) > 2*e.cfg.LockTime {
			return 1
		}
		return 0
	}
	n = 2
	if w := &c.claim; w.when == 0 || w.answered { // otherwise it may be proved in a moment
		n++
	}
	if e.hosts[c.host].young(now) {
		n += 2
	}
	return n
}

// forget removes a client and all that was done about it.
func (e *Engine) forget(slot int32) {
	c := &e.clients[slot]
	if c.told {
		e.nfound--
		e.emit(Event{Class: ClassClient, What: EventForgotten, Client: c.addr, MAC: c.mac, Protocol: c.protocol})
	}
	if c.locked {
		e.release(slot, c)
	}
	e.hosts[c.host].client = none
	e.wheel.Stop(slot)
	e.clientLRU.Remove(slot)
	c.used = false
	e.spareClients = append(e.spareClients, slot)
}

// note adds a peer to client c, or refreshes it.
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
		if !suspect && c.proved.Has(protocol) {
			e.tellPeer(c, p)
		}
		e.cut(h, c, p, now)
	} else {
		c.peers.touch(p)
		if !suspect && (p.cutUntil == 0 || detect.All[p.protocol].Exclusive) {
			p.suspect = false
		}
		if port != 0 {
			p.port = port
		}
	}
	p.last = e.seconds(now)
	return p
}

// knows returns the peer of c at the address, or nil. A peer counts only while the client
// is proved to run the peer's protocol.
func (e *Engine) knows(c *client, a *nfq.Addr) *peer {
	if c.proved == 0 {
		return nil
	}
	p := c.peers.get(a, e.hash.addr(a))
	if p != nil && (!c.proved.Has(int(p.protocol)) || p.suspect && !c.locked) {
		return nil
	}
	return p
}

// wentTo records that a client sent something from src to a known peer. So the client still
// runs, and its lock starts again.
func (e *Engine) wentTo(slot int32, c *client, p *peer, src *nfq.Addr, now Time) {
	c.lastSeen, c.addr = now, *src
	e.clientLRU.Touch(slot)
	c.peers.touch(p)
	p.last = e.seconds(now)
	e.lock(slot, c, int(p.protocol), detect.ReasonPeer, now)
}
