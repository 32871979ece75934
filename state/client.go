// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// client is a LAN host of which something of a protocol was recognised, by what it said
// itself. As long as nothing is proved it is a suspect: it is asked, and loses what was
// recognised and nothing else.
type client struct {
	_        [0]func() // not to be compared: the code for it costs flash
	used     bool
	told     bool  // it was said that it was found
	foreign  bool  // another engine has proved it, and deals with it
	protocol uint8 // index in detect.All of what was recognised last
	reason   detect.Reason
	host     int32
	addr     nfq.Addr // from which it was recognised last
	mac      nfq.MAC
	device   uint32 // interface index it was seen on
	number   uint32 // tells it from others that had the place before

	firstSeen, lastSeen Time

	// proved are the protocols that it was proved to run, until it is released;
	// proof is how that was proved last, and ProofNone as long as it never was.
	proved detect.Set
	proof  Proof
	said   [detect.MaxProtocols]said
	claim  claim
	// provenAt is when the conduct was seen that proved it.
	provenAt Time
	// toldPeer is whom it spoke to when it was recognised first.
	toldPeer nfq.AddrPort

	locked bool
	// strict: no TCP connection may be opened; selective: its own ports are cut, and
	// connections that show to be its own. Neither without locked.
	strict, selective bool
	// marked: the kernel was told that what is cut is marked only.
	marked bool
	// sessions is how many of its sessions of WebRTC were cut since it was locked.
	sessions uint8
	// disguised: it had peers at ports of well-known services.
	disguised bool
	// own are ports of its own, the newest first; 0 where there are fewer.
	own         [maxOwn]uint16
	since       Time // when the lock began
	lookedAnew  Time // when its connections were looked at anew last
	lockStart   Time
	lockUntil   Time
	kernelUntil Time // until then the kernel's lock set has it
	locks       uint32
	droppedTCP  uint32
	droppedUDP  uint32
	dropped     uint32
	tally       tally

	// query is the last query of the client, port the one it came from: the
	// probe goes there.
	query    [detect.MaxQuery]byte
	queryLen uint8
	hash     [20]byte // the info-hash that it named last, or zero
	key      [16]byte // that it gave away last, or zero
	keyOf    uint8    // index in detect.All of whose key it is
	port     uint16
	askedAt  nfq.Addr
	// listen is the TCP port it listens on, way the way of probing that is
	// next, salt what made the last probe what it was, guess the place in Protocol.Ports
	// that is next.
	listen uint16
	guess  uint8
	way    uint8
	salt   uint32

	// program is its name, as far as it says.
	program detect.ClientName

	// flowsDue: connections may be left that were decided before they were to be
	// cut.
	flowsDue bool

	answers budget // of those in its peers' names

	probed     uint8 // how many probes this lock period has seen
	lastProbe  Time
	lastAnswer Time

	peers peerTable
}

// enter returns the client that h is, entering it when it is new. It returns nil
// when there is no place for it.
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
	// The peer table is cleared in place: it is large.
	c.peers.clear()
	number := c.number + 1
	c.used, c.told, c.foreign, c.protocol, c.reason = true, false, false, uint8(protocol), reason
	c.host, c.addr, c.mac, c.device, c.number = e.slotOf(h), *a, h.key.mac, d.Index, number
	c.firstSeen, c.lastSeen = now, now
	c.proved, c.proof, c.claim, c.provenAt, c.toldPeer = 0, ProofNone, claim{}, 0, nfq.AddrPort{}
	clear(c.said[:])
	c.locked, c.since, c.lookedAnew, c.lockStart, c.lockUntil, c.kernelUntil = false, 0, 0, 0, 0, 0
	c.locks, c.dropped, c.droppedTCP, c.droppedUDP, c.tally = 0, 0, 0, 0, tally{}
	c.marked, c.strict, c.selective, c.disguised, c.sessions, c.program = false, false, false, false, 0, detect.ClientName{}
	c.own = [maxOwn]uint16{}
	c.hash, c.key, c.keyOf, c.answers = [20]byte{}, [16]byte{}, 0, budget{}
	c.queryLen, c.port, c.askedAt, c.probed, c.lastProbe, c.lastAnswer = 0, 0, nfq.Addr{}, 0, 0, 0
	c.listen, c.guess, c.way, c.flowsDue = 0, 0, 0, false
	h.client = slot
	e.clientLRU.Push(slot)
	e.schedule(slot, c, now)
	return c
}

// learn takes what a payload said about the client itself.
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
		c.key, c.keyOf = f.Key, uint8(f.Protocol)
	}
	// The longest form of the name says most.
	if f.Client.Len() > c.program.Len() {
		c.program = f.Client
	}
}

// words are what a question is made of that the client itself has said; c may be nil.
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

// fullNow limits the word about a full table to one a minute.
func (e *Engine) fullNow(now Time) bool {
	if e.fullSaid != 0 && now < e.fullSaid {
		return false
	}
	e.fullSaid = now.After(minute)
	return true
}

// freeClient returns a free slot, or that of another client: first of one of which
// nothing is proved, else of one that is not locked and has been silent for two lock
// times. So made-up hosts take each other's places.
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

// mostSpare is how readily at most a client gives way to another.
const mostSpare = 5

// spare returns how readily the client gives way to another: 0 for not at all, mostSpare
// for at once.
func (e *Engine) spare(c *client, now Time) (n int) {
	if c.proof != ProofNone || c.locked { // perhaps by another engine
		if !c.locked && now.Since(c.lastSeen) > 2*e.cfg.LockTime {
			return 1
		}
		return 0
	}
	n = 2
	if w := &c.claim; w.when == 0 || w.answered { // else it may be proved in a moment
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

// knows returns the peer of c at the address, or nil. It counts only while the client
// is known to run a program of the protocol.
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

// wentTo records that a client, from the address src, spoke to a known peer: it still
// runs, and its lock starts again.
func (e *Engine) wentTo(slot int32, c *client, p *peer, src *nfq.Addr, now Time) {
	c.lastSeen, c.addr = now, *src
	e.clientLRU.Touch(slot)
	c.peers.touch(p)
	p.last = e.seconds(now)
	e.lock(slot, c, int(p.protocol), detect.ReasonPeer, now)
}
