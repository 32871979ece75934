// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// maxExempt is how many exemptions the administrator can give at run time.
const maxExempt = 64

// exemption lasts until a moment; it is by MAC, or by address where mac is zero.
type exemption struct {
	mac   nfq.MAC
	addr  nfq.Addr
	until Time
}

// exempt reports whether the host is not to be looked at.
func (e *Engine) exempt(a *nfq.Addr, mac *nfq.MAC, now Time) bool {
	if e.noExempt {
		return false
	}
	for i := range e.cfg.ExemptMACs {
		if e.cfg.ExemptMACs[i] == *mac {
			return true
		}
	}
	for i := 0; i < e.nexempt; i++ {
		x := &e.exempts[i]
		if now < x.until && (x.addr == *a || !x.mac.IsZero() && x.mac == *mac) {
			return true
		}
	}
	for i := range e.exemptNets {
		if e.exemptNets[i].contains(a) {
			return true
		}
	}
	return false
}

// Exempt leaves the host with that address alone for d, and lifts its lock. It
// reports whether there was room.
func (e *Engine) Exempt(a netip.Addr, d time.Duration, now Time) bool {
	e.now = now
	addr := nfq.AddrFrom(a)
	x := exemption{addr: addr, until: now.After(d)}
	if h := e.hostAt(&addr); h != nil {
		x.mac = h.key.mac
	}
	i := 0
	for i < e.nexempt && e.exempts[i].until > now && e.exempts[i].addr != addr {
		i++
	}
	if i == maxExempt {
		return false
	}
	e.exempts[i] = x
	e.nexempt = max(e.nexempt, i+1)
	e.noExempt = false
	e.emit(Event{Class: ClassClient, What: EventExempted, Client: addr, MAC: x.mac})
	e.Unlock(a, now)
	return true
}

// Unlock lifts the lock of the host with that address and forgets that it was a
// client. It reports whether it was one.
func (e *Engine) Unlock(a netip.Addr, now Time) bool {
	e.now = now
	addr := nfq.AddrFrom(a)
	slot := e.clientAt(&addr)
	if slot == none {
		return false
	}
	c := &e.clients[slot]
	e.emit(Event{Class: ClassClient, What: EventUnlocked, Client: c.addr, MAC: c.mac, Protocol: c.protocol})
	e.forget(slot)
	return true
}

func (e *Engine) clientAt(a *nfq.Addr) int32 {
	if h := e.hostAt(a); h != nil && h.client != none {
		return h.client
	}
	for i := range e.clients {
		if e.clients[i].used && e.clients[i].addr == *a {
			return int32(i)
		}
	}
	return none
}
