// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// maxExempt is how many exemptions can exist at run time.
const maxExempt = 64

// exemption is for a MAC, or for an address if mac is zero. It ends at a moment.
type exemption struct {
	_     [0]func() // not comparable: code to compare it costs flash
	mac   nfq.MAC
	addr  nfq.Addr
	until Time
}

// exempt reports whether the engine has to leave the host alone.
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

// Exemption is a copy of an exemption that was made at run time.
type Exemption struct {
	Addr nfq.Addr
	MAC  nfq.MAC // zero if unknown
	Left time.Duration
}

// Exemptions returns the exemptions in force, oldest first.
func (e *Engine) Exemptions(now Time) []Exemption {
	var out []Exemption
	for _, x := range e.exempts[:e.nexempt] {
		if now < x.until {
			out = append(out, Exemption{x.addr, x.mac, x.until.Since(now)})
		}
	}
	return out
}

// Exempt exempts the host with that address for d, and lifts its lock. It returns false
// when there is no room.
func (e *Engine) Exempt(a netip.Addr, d time.Duration, now Time) bool {
	e.now = now
	addr := nfq.AddrFrom(a)
	x := exemption{addr: addr, until: now.After(d)}
	if h := e.hostAt(&addr); h != nil {
		x.mac = h.key.mac
	}
	e.endExemptions(&addr, &nfq.MAC{}, now)
	if e.nexempt == maxExempt {
		return false
	}
	e.exempts[e.nexempt] = x
	e.nexempt++
	e.noExempt = false
	e.emit(Event{Class: ClassClient, What: EventExempted, Client: addr, MAC: x.mac})
	e.Unlock(a, now)
	return true
}

// EndExemption ends the exemptions of the host with that address. It returns false when
// there was none.
func (e *Engine) EndExemption(a netip.Addr, now Time) bool {
	e.now = now
	addr := nfq.AddrFrom(a)
	var mac nfq.MAC
	if h := e.hostAt(&addr); h != nil {
		mac = h.key.mac
	}
	for i := range e.exempts[:e.nexempt] {
		// The host may not have sent anything since: take its MAC from the exemption.
		if x := &e.exempts[i]; x.addr == addr && !x.mac.IsZero() {
			mac = x.mac
		}
	}
	if !e.endExemptions(&addr, &mac, now) {
		return false
	}
	e.exemptionEnded = true
	e.emit(Event{Class: ClassClient, What: EventWatched, Client: addr, MAC: mac})
	return true
}

// endExemptions removes the exemptions of an address or of a MAC, and those that ran out. A
// zero MAC matches nothing. It reports whether it removed one that was still in force.
func (e *Engine) endExemptions(a *nfq.Addr, mac *nfq.MAC, now Time) (ended bool) {
	n := 0
	for i := range e.exempts[:e.nexempt] {
		x := &e.exempts[i]
		switch {
		case now >= x.until:
		case x.addr == *a || !mac.IsZero() && x.mac == *mac:
			ended = true
		default:
			e.exempts[n] = *x
			n++
		}
	}
	e.nexempt = n
	e.setNoExempt()
	return ended
}

// ExemptionEnded reports whether an exemption ended since the last call. Then the existing
// connections of its host need a look.
func (e *Engine) ExemptionEnded(now Time) (ended bool) {
	for i := range e.exempts[:e.nexempt] {
		ended = ended || now >= e.exempts[i].until
	}
	if ended {
		e.endExemptions(&nfq.Addr{}, &nfq.MAC{}, now)
	}
	ended, e.exemptionEnded = ended || e.exemptionEnded, false
	return ended
}

// setNoExempt notes whether there are no exemptions at all: then nobody has to search.
func (e *Engine) setNoExempt() {
	e.noExempt = len(e.cfg.ExemptNets) == 0 && len(e.cfg.ExemptMACs) == 0 && e.nexempt == 0
}

// Unlock lifts the lock of the host with that address and forgets the client. It returns
// false when there is no such client.
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
