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

// guessesAtOnce is how many ports are probed at once on a client whose port is unknown. The
// prober takes no more at once. Each lock period begins with the likeliest ports.
const guessesAtOnce = 4

// probeAt are the times of the probes in a lock period, in eighths of it. Each is sent if
// the earlier ones were not answered.
var probeAt = [...]Time{4, 6, 7}

// saltWay are the bits of a probe's salt that name its way. The other bits are the same for
// all probes of a lock period: the answer to one may come when the next is sent already.
const saltWay = 7

// lock starts or restarts the lock of a proved client.
func (e *Engine) lock(slot int32, c *client, protocol int, reason detect.Reason, now Time) {
	if e.cfg.LockTime == 0 || !e.hosts[c.host].modes.holds.Has(protocol) || !c.proved.Has(protocol) {
		return
	}
	c.lockStart, c.lockUntil, c.probed = now, now.After(e.cfg.LockTime), 0
	strict := e.cfg.Protocols[protocol].Lock == Strict
	selective := !strict || detect.All[protocol].Sift
	more := strict && !c.strict || selective && !c.selective
	c.strict, c.selective = c.strict || strict, c.selective || selective
	if more && !c.foreign { // also when a lock becomes a stricter one
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
	// Renew the kernel's element only when it is an eighth of the lock time behind. Until
	// then SYNs that the kernel lets through come here and are dropped as well.
	if more {
		e.lookAnew(c)
	}
	if more || c.marked != e.lockMarks(c) || c.lockUntil-c.kernelUntil > Time(e.cfg.LockTime)/8 {
		e.lockInKernel(c)
		e.tellOthers(c)
	}
}

// release ends the lock: everything is open again for the host. A new lock needs a new
// proof.
func (e *Engine) release(slot int32, c *client) {
	e.unlockInKernel(c)
	e.watchOn(c)
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
		// Suspected peers may be anything: forget them.
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

// schedule sets the client's timer for its next task. A restart of the lock does not move
// the timer: it fires too early and is set again. That is cheaper than moving it with every
// packet.
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
	// The timer also fires to renew pairs in the kernel's set.
	e.wheel.Set(slot, min(at, now.After(e.cfg.Forget/4)))
}

// fire is called by the wheel when a timer is due. The timer belongs to a client, to a
// connection, or to the hosts of standing.go.
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
		// After a stall of the machine the probe is late. The client gets that time added,
		// so that it can still answer.
		if late := now - e.probeTime(c); late > e.stall() {
			c.lockStart += late
			c.lockUntil += late
			e.lockInKernel(c)
		}
		way, salt := c.way, c.salt
		if c.probed > 0 { // the probe before was not answered
			e.nextWay(c)
		}
		if c.probed == 0 {
			c.guess, c.salt = 0, rand.Uint32()
		}
		if c.probed++; !e.probe(slot, c) && e.proberFull {
			c.probed, c.way, c.salt = c.probed-1, way, salt // again at the next tick
		}
	case c.locked && now-c.lockUntil > e.stall():
		// What the client said during a stall may still wait in the queue.
		c.lockUntil = now.After(2 * table.WheelTick)
		e.lockInKernel(c)
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

// stall is how late a timer is at least when the machine stalled.
func (e *Engine) stall() Time { return Time(max(e.cfg.LockTime/16, 2*table.WheelTick)) }

// probeTime is the time of the client's next probe. It varies, so that the probes form no
// pattern.
func (e *Engine) probeTime(c *client) Time {
	eighth := Time(e.cfg.LockTime) / 8
	at := c.lockStart + eighth*probeAt[c.probed]
	if detect.All[c.protocol].Sift {
		at -= eighth / 256 * Time(word(e.hash.seed, c.salt|saltWay)&255)
	}
	return at
}

// probe sends the client a probe that a running client answers. It reports whether it could.
func (e *Engine) probe(slot int32, c *client) bool {
	if int(c.way) >= len(detect.All[c.protocol].Probes) { // it was recognised as another protocol since
		c.way = 0
	}
	e.proberFull = false
	for range detect.All[c.protocol].Probes {
		if e.probeBy(slot, c, int(c.way)) {
			c.lastProbe = e.now
			e.Counters.Probes++
			e.history.at(e.now).Probes++
			e.emit(Event{Class: ClassProbe, What: EventSent, Client: c.askedAt, MAC: c.mac, Port: c.port, Protocol: c.protocol})
			return true
		}
		e.nextWay(c)
	}
	return false
}

// nextWay switches to the client's next way of probing.
func (e *Engine) nextWay(c *client) {
	if c.way++; int(c.way) >= len(detect.All[c.protocol].Probes) {
		c.way = 0
	}
}

// probeBy probes the client in one of the ways of its protocol. It returns false when that
// is impossible.
func (e *Engine) probeBy(slot int32, c *client, way int) bool {
	cfg := &e.cfg.Protocols[c.protocol]
	p := &detect.All[c.protocol].Probes[way]
	listen := c.listen
	if listen == 0 && detect.All[c.protocol].OnePort {
		listen = c.port
	}
	guesses := detect.All[c.protocol].Ports
	if p.TCP && (!cfg.TCPProbe || e.prober == nil || listen == 0 && len(guesses) == 0) || !p.TCP && (!cfg.Probe || c.port == 0) {
		return false
	}
	h := &e.hosts[c.host]
	if !e.mayPut(h, int(c.protocol), way, e.now) {
		return false
	}
	c.salt = c.salt&^saltWay | uint32(way)
	n := p.Build(e.out[:], c.words(p), c.salt)
	if n == 0 {
		return false
	}
	d := e.device(c.device)
	if d == nil || !e.owns(h, &c.askedAt) {
		return false
	}
	e.put(h, int(c.protocol), way, e.now)
	if p.TCP {
		asked, room, alone := false, guessesAtOnce, p.Alone
		if p.Early {
			alone = 0
		}
		if listen != 0 {
			asked = e.prober.ProbeTCP(clientProbe(slot, c.salt), d.Index, c.askedAt, listen, e.out[:n], alone)
			room--
		}
		// The UDP port that it sent from need not be the port where it listens.
		for c.listen == 0 && room > 0 && len(guesses) > 0 {
			i := int(c.guess) % len(guesses)
			if !e.prober.ProbeTCP(clientProbe(slot, c.salt)|uint64(i+1)<<guessAt, d.Index, c.askedAt, guesses[i], e.out[:n], alone) {
				break
			}
			asked = true
			c.guess++
			room--
		}
		e.proberFull = !asked
		return asked
	}
	from := d.address(&c.askedAt)
	if from.IsZero() {
		return false
	}
	e.send(d.Index, nfq.AddrPort{Addr: from, Port: detect.ProbePort}, nfq.AddrPort{Addr: c.askedAt, Port: c.port}, e.out[:n])
	return true
}

// answers reports whether the datagram p is the answer to the client's last probe. Answers
// without a token only have to arrive in time and from the probed port.
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
