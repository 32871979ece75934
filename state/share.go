// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Held is what one engine tells the others of a host that it locks. Each has a queue of
// its own, and IPv4 and IPv6 of one host may come to two of them.
type Held struct {
	_        [0]func() // not to be compared: the code for it costs flash
	MAC      nfq.MAC
	Addr     nfq.Addr
	Device   uint32 // interface index
	Protocol uint8  // index in detect.All
	Reason   detect.Reason
	Left     time.Duration  // of the lock
	Own      [maxOwn]uint16 // the client's own ports, 0 where there are fewer
}

// tellOthers has the other engines lock the host as well.
func (e *Engine) tellOthers(c *client) {
	if e.OnLock == nil || c.mac.IsZero() { // known by its address alone, it is here alone
		return
	}
	e.heldNow = Held{
		MAC: c.mac, Addr: c.addr, Device: c.device, Protocol: c.protocol, Reason: c.reason,
		Left: c.lockUntil.Since(e.now), Own: c.own,
	}
	e.OnLock(&e.heldNow)
}

// Hold locks a host that another engine has proved to run a client. That one asks it,
// tells of it and lists it.
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
	e.OnLock = nil // whoever told it knows
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
	e.schedule(h.client, c, now) // it may end sooner than the timer was set for
}
