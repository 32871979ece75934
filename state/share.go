// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Held tells the other engines about a host that one engine locks. Each engine has its own
// queue, and IPv4 and IPv6 of one host may go to different queues.
type Held struct {
	_        [0]func() // not comparable: code to compare it costs flash
	MAC      nfq.MAC
	Addr     nfq.Addr
	Device   uint32 // interface index
	Protocol uint8  // index in detect.All
	Reason   detect.Reason
	Left     time.Duration  // time that is left of the lock
	Own      [maxOwn]uint16 // the client's own ports, 0 for an empty place
}

// tellOthers makes the other engines lock the host, too.
func (e *Engine) tellOthers(c *client) {
	if e.OnLock == nil || c.mac.IsZero() { // known by its address alone: only this engine sees it
		return
	}
	e.heldNow = Held{
		MAC: c.mac, Addr: c.addr, Device: c.device, Protocol: c.protocol, Reason: c.reason,
		Left: c.lockUntil.Since(e.now), Own: c.own,
	}
	e.OnLock(&e.heldNow)
}

// Hold locks a host that another engine has proved to run a client. That other engine
// probes it, emits its events and lists it.
func (e *Engine) Hold(x *Held, now Time) {
	e.now = now
	d := e.device(x.Device)
	protocol := int(x.Protocol)
	if d == nil || e.exempt(&x.Addr, &x.MAC, now) {
		return
	}
	h := e.hostOf(&nfq.Packet{Src: x.Addr, MAC: x.MAC}, d, now)
	if h == nil || !h.modes.holds.Has(protocol) {
		return
	}
	c := e.enter(h, protocol, x.Reason, &x.Addr, d, now)
	if c == nil {
		return
	}
	if !c.told {
		c.foreign = true
	}
	c.proved |= 1 << protocol
	share := e.OnLock
	e.OnLock = nil // the sender of x knows it already
	defer func() { e.OnLock = share }()
	for i := range x.Own {
		e.ownPort(h, c, x.Own[maxOwn-1-i], now)
	}
	until := now.After(min(x.Left, e.cfg.LockTime))
	if c.locked && c.lockUntil >= until {
		return
	}
	e.lock(h.client, c, protocol, x.Reason, now)
	c.lockUntil = until
	c.lockStart = until - Time(e.cfg.LockTime)
	e.schedule(h.client, c, now) // it may end before the timer would fire
}
