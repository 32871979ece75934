// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"math/rand/v2"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

const minute = time.Minute

// guessesAtOnce is how many ports a client is asked at whose port is not known: as many as
// can be asked at once. The likeliest come first in each lock period.
const guessesAtOnce = 4

// probeAt are the parts of a lock period, in eighths, at which an unanswered
// client is probed.
var probeAt = [...]Time{4, 6, 7}

// lock starts the time lock of a client that is proved, or starts it again.
func (e *Engine) lock(slot int32, c *client, protocol int, reason detect.Reason, now Time) {
	if e.cfg.LockTime == 0 || !e.hosts[c.host].modes.holds.Has(protocol) || !c.proved.Has(protocol) {
		return
	}
	c.lockStart, c.lockUntil, c.probed = now, now.After(e.cfg.LockTime), 0
	strict := e.cfg.Protocols[protocol].Lock == Strict
	selective := !strict || detect.All[protocol].Sift
	more := strict && !c.strict || selective && !c.selective
	c.strict, c.selective = c.strict || strict, c.selective || selective
	if more && !c.foreign { // also when a lock becomes a harder one
		e.emit(Event{Class: ClassClient, What: EventLocked, Client: c.addr, MAC: c.mac, Protocol: uint8(protocol), Reason: reason})
	}
	if !c.locked {
		c.locked, c.since, c.tally.since = true, now, now
		c.locks++
		if !c.foreign {
			e.nlocked++
			e.Counters.Locks++
		}
		e.schedule(slot, c, now)
		if c.proof == ProofConduct && detect.All[protocol].Exclusive {
			e.lookBack(c, protocol, now)
		}
		h := &e.hosts[c.host]
		for i := range c.peers.peers[:c.peers.n] {
			e.cut(h, c, &c.peers.peers[i], now)
		}
	}
	c.protocol, c.reason = uint8(protocol), reason
	// The kernel's element is renewed only when it lags by an eighth: in
	// between, SYNs come here, where they are dropped as well.
	if more {
		e.lookAnew(c)
	}
	if more || c.marked != e.lockMarks(c) || c.lockUntil-c.kernelUntil > Time(e.cfg.LockTime)/8 {
		e.lockInKernel(c)
		e.tellOthers(c)
	}
}

// release ends the lock: the host is as it was before. To be locked again it has to be
// proved again.
func (e *Engine) release(slot int32, c *client) {
	e.unlockInKernel(c)
	if c.selective {
		e.watchOn(c) // if it goes on after all, its next connection is asked
	}
	if c.locked && !c.foreign {
		c.tally.locked += e.now.Since(c.tally.since)
	}
	c.locked, c.strict, c.selective, c.sessions, c.kernelUntil = false, false, false, 0, 0
	c.own = [maxOwn]uint16{}
	c.proved, c.claim = 0, claim{}
	clear(c.said[:])
	for i := c.peers.n - 1; i >= 0; i-- {
		p := &c.peers.peers[i]
		e.uncut(c, p)
		// Addresses that were only suspected may be anything: let go of them.
		if p.suspect {
			c.peers.remove(p)
		}
	}
	if !c.foreign {
		e.nlocked--
		e.Counters.Unlocks++
		e.emit(Event{Class: ClassClient, What: EventReleased, Client: c.addr, MAC: c.mac, Protocol: c.protocol})
	}
	c.foreign = false
}

// schedule arms the client's timer for what comes next. A lock that is started
// again does not move the timer: it fires early and is armed anew, which is
// cheaper than a move with every packet.
func (e *Engine) schedule(slot int32, c *client, now Time) {
	if !c.locked {
		at := c.lastSeen.After(e.cfg.Forget)
		if s := &e.hosts[c.host].suspicion; c.proved == 0 && now.Since(c.lastSeen) < askWhile {
			at = min(at, max(s.askAt(), now.After(askPatience)))
		}
		e.wheel.Set(slot, at)
		return
	}
	at := c.lockUntil
	if int(c.probed) < len(probeAt) && !c.foreign {
		at = e.probeTime(c)
	}
	// Pairs in the kernel's set are renewed on the way.
	e.wheel.Set(slot, min(at, now.After(e.cfg.Forget/4)))
}

// fire is called by the wheel when a timer is due, of a client, of a connection, or of what
// was there before.
func (e *Engine) fire(slot int32) {
	now := e.now
	if slot == e.standingTimer() {
		e.tickStanding(now)
		return
	}
	if n := int32(len(e.clients)); slot >= n {
		e.silent(slot-n, now)
		return
	}
	c := &e.clients[slot]
	switch {
	case c.locked && !c.foreign && int(c.probed) < len(probeAt) && now >= e.probeTime(c):
		// What the program comes late, after a stall of the machine, is not at the
		// cost of the client's time to answer.
		if late := now - e.probeTime(c); late > Time(max(e.cfg.LockTime/16, 2*table.WheelTick)) {
			c.lockStart += late
			c.lockUntil += late
			e.lockInKernel(c)
		}
		if c.probed > 0 { // the one before was not answered
			e.nextWay(c)
		}
		if c.probed == 0 {
			c.guess = 0
		}
		c.probed++
		e.probe(slot, c)
	case c.locked && now >= c.lockUntil:
		e.release(slot, c)
	case !c.locked && now >= c.lastSeen.After(e.cfg.Forget):
		e.forget(slot)
		return
	case c.proved == 0 && now.Since(c.lastSeen) < askWhile:
		e.askAgain(slot, c, now)
		e.ask(&e.hosts[c.host], now)
	}
	if c.locked {
		e.renewCuts(c, now)
	}
	e.schedule(slot, c, now)
}

// probeTime is when the client is to be probed next: not always after the same
// time, so that probes are no pattern.
func (e *Engine) probeTime(c *client) Time {
	eighth := Time(e.cfg.LockTime) / 8
	at := c.lockStart + eighth*probeAt[c.probed]
	if detect.All[c.protocol].Sift {
		at -= eighth / 256 * Time(word(e.hash.seed, c.salt)&255)
	}
	return at
}

// probe sends the client what makes it answer if it still runs.
func (e *Engine) probe(slot int32, c *client) {
	if int(c.way) >= len(detect.All[c.protocol].Probes) { // it was recognised as another
		c.way = 0
	}
	sent := false
	for range detect.All[c.protocol].Probes {
		if sent = e.probeBy(slot, c, int(c.way)); sent {
			break
		}
		e.nextWay(c)
	}
	if sent {
		c.lastProbe = e.now
		e.Counters.Probes++
		e.history.at(e.now).Probes++
		e.emit(Event{Class: ClassProbe, What: EventSent, Client: c.askedAt, MAC: c.mac, Port: c.port, Protocol: c.protocol})
	}
}

// nextWay turns to the client's next way of probing.
func (e *Engine) nextWay(c *client) {
	if c.way++; int(c.way) >= len(detect.All[c.protocol].Probes) {
		c.way = 0
	}
}

// probeBy probes the client in one of the ways of its protocol, and reports
// whether that could be done.
func (e *Engine) probeBy(slot int32, c *client, way int) bool {
	cfg := &e.cfg.Protocols[c.protocol]
	p := &detect.All[c.protocol].Probes[way]
	listen := c.listen
	if listen == 0 {
		listen = c.port
	}
	guesses := detect.All[c.protocol].Ports
	if p.TCP && (!cfg.TCPProbe || e.prober == nil || listen == 0 && len(guesses) == 0) || !p.TCP && (!cfg.Probe || c.port == 0) {
		return false
	}
	c.salt = rand.Uint32()
	n := p.Build(e.out[:], c.words(p), c.salt)
	if n == 0 {
		return false
	}
	d := e.device(c.device)
	if d == nil || !e.owns(&e.hosts[c.host], &c.askedAt) {
		return false
	}
	if p.TCP {
		asked, room := false, guessesAtOnce
		if listen != 0 {
			asked = e.prober.ProbeTCP(clientProbe(slot, c.salt), d.Index, c.askedAt, listen, e.out[:n], p.Alone)
			room--
		}
		// The port that it spoke from by UDP need not be where it listens.
		for c.listen == 0 && room > 0 && len(guesses) > 0 {
			i := int(c.guess) % len(guesses)
			if !e.prober.ProbeTCP(clientProbe(slot, c.salt)|uint64(i+1)<<guessAt, d.Index, c.askedAt, guesses[i], e.out[:n], p.Alone) {
				break
			}
			asked = true
			c.guess++
			room--
		}
		return asked
	}
	from := d.address(&c.askedAt)
	if from.IsZero() {
		return false
	}
	e.send(d.Index, nfq.AddrPort{Addr: from, Port: detect.ProbePort}, nfq.AddrPort{Addr: c.askedAt, Port: c.port}, e.out[:n])
	return true
}

// answers reports whether the datagram p is the answer to the client's last probe. Of a
// protocol whose answers have no token, it is what comes in time from where it was asked.
func (e *Engine) answers(c *client, p *nfq.Packet, now Time) bool {
	probes := detect.All[c.protocol].Probes
	if int(c.way) >= len(probes) || probes[c.way].TCP || c.probed == 0 || c.askedAt != p.Src || c.port != p.SrcPort {
		return false
	}
	way := &probes[c.way]
	if way.Answered == nil {
		f := e.classify(&e.hosts[c.host], p.Payload)
		return now.Since(c.lastProbe) < askPatience && f.Kind > detect.Weak && f.Protocol == int(c.protocol)
	}
	if way.Weak && now.Since(c.lastProbe) >= askPatience {
		return false
	}
	n := way.Build(e.out[:], c.words(way), c.salt)
	return n > 0 && way.Answered(p.Payload, e.out[:n])
}

// answered records that the client answered a probe.
func (e *Engine) answered(slot int32, c *client, now Time) {
	c.lastAnswer, c.lastSeen = now, now
	e.Counters.Answers++
	e.emit(Event{Class: ClassProbe, What: EventAnswered, Client: c.addr, MAC: c.mac, Protocol: c.protocol})
	e.clientLRU.Touch(slot)
	e.lock(slot, c, int(c.protocol), detect.ReasonProbe, now)
}
