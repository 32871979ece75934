// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"net/netip"
	"slices"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Policy gives some hosts and protocols another mode. The first policy that fits counts. If
// none fits, the protocol's own mode does. The engine knows neither hours nor names: its
// caller passes the policies in force now, with the hosts that have the names.
type Policy struct {
	_    [0]func() // not comparable: code to compare it costs flash
	Name string
	// All: for every host. Otherwise the policy is for hosts that match one of the lists.
	All     bool
	MACs    []nfq.MAC
	Nets    []netip.Prefix
	Devices []uint32 // interface indices
	// Addrs are for hosts that are known by their address alone, as behind a repeater or
	// another router.
	Addrs []nfq.Addr

	Protocols detect.Set
	Mode      Mode
}

// modes is what is done about each protocol of one host. The engine looks for the protocols
// in on, locks clients of those in holds, and cuts those in blocks. It marks what is in
// holds and not in blocks.
type modes struct {
	on, holds, blocks detect.Set
}

// set gives the protocols a mode.
func (m *modes) set(which detect.Set, mode Mode) {
	m.on, m.holds, m.blocks = m.on&^which, m.holds&^which, m.blocks&^which
	if mode != Off {
		m.on |= which
	}
	if mode >= Mark {
		m.holds |= which
	}
	if mode == Block {
		m.blocks |= which
	}
}

// mode returns the mode of one protocol.
func (m *modes) mode(protocol int) Mode {
	switch {
	case m.blocks.Has(protocol):
		return Block
	case m.holds.Has(protocol):
		return Mark
	case m.on.Has(protocol):
		return Monitor
	}
	return Off
}

// outdated is the value of host.decided when something was learnt about the host since.
// Otherwise host.decided is the value of Engine.decided at that time.
const outdated = 0

// refit decides about a host again, after something was learnt about it or the policies
// changed.
//
//go:noinline
func (e *Engine) refit(h *host) {
	was := h.modes
	h.decided, h.modes = e.decided, e.modesFor(h)
	if was != h.modes {
		e.changed(h, &was)
	}
}

// modesFor applies the policies to a host; nil stands for an unknown host.
func (e *Engine) modesFor(h *host) modes {
	m, left := e.defaults, detect.Set(1)<<len(detect.All)-1
	for i := range e.cfg.Policies {
		if p := &e.cfg.Policies[i]; p.Protocols&left != 0 && e.fits(p, h) {
			m.set(p.Protocols&left, p.Mode)
			left &^= p.Protocols
		}
	}
	return m
}

// fits reports whether the policy is for the host.
func (e *Engine) fits(p *Policy, h *host) bool {
	if p.All || h == nil {
		return p.All
	}
	if slices.Contains(p.MACs, h.key.mac) || slices.Contains(p.Devices, h.device) {
		return true
	}
	if h.key.mac.IsZero() && slices.Contains(p.Addrs, h.key.addr) {
		return true
	}
	for _, net := range p.Nets {
		if h.key.mac.IsZero() && net.Contains(h.key.addr.Netip()) {
			return true
		}
		for _, s := range h.addrs {
			if s != none && net.Contains(e.addrs[s].addr.Netip()) {
				return true
			}
		}
	}
	return false
}

// policyOf returns the name of the policy that decides about a protocol of the host, or "".
func (e *Engine) policyOf(h *host, protocol int) string {
	for i := range e.cfg.Policies {
		if p := &e.cfg.Policies[i]; p.Protocols.Has(protocol) && e.fits(p, h) {
			return p.Name
		}
	}
	return ""
}

// SetPolicies sets the policies in force. Locks that they do not allow end at once. Hosts
// that are now to be locked are locked if they are known, or else asked. It reports whether
// there may be such hosts: then their existing connections need a look.
func (e *Engine) SetPolicies(p []Policy, now Time) (more bool) {
	e.now = now
	e.cfg.Policies = p
	return e.review()
}

// review decides about all hosts again. It reports whether a host holds more protocols than
// before, or an unknown host would.
func (e *Engine) review() (more bool) {
	held := e.strangers.holds
	e.more = false
	e.unite()
	for i := range e.hosts {
		if h := &e.hosts[i]; h.used {
			e.refit(h)
		}
	}
	return e.more || e.strangers.holds&^held != 0
}

// unite collects what is looked for in any host.
func (e *Engine) unite() {
	e.decided++
	e.any, e.strangers = e.defaults, e.modesFor(nil)
	e.marking = e.marking || e.any.holds != e.any.blocks
	for i := range e.cfg.Policies {
		p := &e.cfg.Policies[i]
		m := modes{}
		m.set(p.Protocols, p.Mode)
		e.any.on, e.any.holds, e.any.blocks = e.any.on|m.on, e.any.holds|m.holds, e.any.blocks|m.blocks
		e.marking = e.marking || m.holds != m.blocks
	}
	e.streams, e.hasNames, e.looks, e.names = 0, false, false, detect.NameFilter{}
	for i := range e.cfg.Protocols {
		if p := &e.cfg.Protocols[i]; e.any.on.Has(i) {
			e.hasNames = e.hasNames || p.Names.Len() > 0
			e.names.Add(&p.Names)
			e.looks = e.looks || detect.All[i].Sift
			if p.HTTP {
				e.streams |= 1 << i
			}
		}
	}
}

// changed handles a host whose modes have changed. A lock may be for several protocols. It
// ends as soon as one of them is released or gets another mode. It begins again for those
// that are still held.
func (e *Engine) changed(h *host, was *modes) {
	m := &h.modes
	if was.holds&^was.blocks&^(m.holds&^m.blocks) != 0 { // its connections have to lose the mark
		for _, s := range h.addrs {
			if s != none {
				e.addrs[s].freeDue = true
			}
		}
		e.lookAtFlows()
	}
	if m.holds&^was.holds != 0 && h.born != e.now {
		e.more = true
		e.forgetBeginnings(h)
		e.lookAtHost(h)
	}
	if h.client == none {
		return
	}
	slot := h.client
	c := &e.clients[slot]
	proved := c.proved & m.on
	if c.locked && c.proved&(was.holds&^m.holds|was.blocks^m.blocks) != 0 {
		own := c.own
		e.release(slot, c)
		if proved != 0 { // it still listens at the same ports
			c.own = own
		}
		if c.proof == ProofNone { // that engine will report it again
			proved = 0
		}
	}
	c.proved = proved
	if c.locked && c.marked != e.lockMarks(c) {
		e.lockInKernel(c)
		e.lookAnew(c)
	}
	for i := range detect.All {
		switch {
		case !m.holds.Has(i):
		case c.proved.Has(i) && !c.locked && e.now.Since(c.lastSeen) < e.cfg.LockTime:
			e.lock(slot, c, i, c.reason, e.now)
		case !was.on.Has(i) && int(c.protocol) == i && c.proof != ProofNone:
			if d := e.device(c.device); d != nil { // check whether it still runs
				e.suspect(h, i, c.reason, &c.addr, d, c.port, c.listen, e.now)
			}
		}
	}
	e.schedule(slot, c, e.now)
}

// forgetBeginnings forgets how the host's connections began: the engine did not look for all
// protocols there.
func (e *Engine) forgetBeginnings(h *host) {
	h.nsyns = 0
	for slot := e.flows.lru.Oldest(); slot != none; {
		next := e.flows.lru.Newer(slot)
		if fl := &e.flows.flows[slot]; fl.owner == h.slot && fl.fate == open && fl.login == loginNone {
			e.endFlowAt(slot)
		}
		slot = next
	}
	for s := range e.judged.judged[:e.judged.Len()] {
		if j := &e.judged.judged[s]; j.what == other && e.judged.Key(int32(s)).host == h.hash {
			j.what = unknown
		}
	}
}

// marks reports whether the host's traffic of the protocol is marked and not cut.
func (h *host) marks(protocol int) bool { return (h.modes.holds &^ h.modes.blocks).Has(protocol) }

// lockMarks reports the same for a client's lock as a whole. If the client is also locked
// for a protocol in mode block, its ports are cut.
func (e *Engine) lockMarks(c *client) bool {
	m := &e.hosts[c.host].modes
	return c.proved&m.holds != 0 && c.proved&m.blocks == 0
}

// mark accepts a packet that would be dropped in mode block, and marks its connection.
func (e *Engine) mark() nfq.Verdict {
	e.Counters.Marked++
	return nfq.AcceptMarked
}

// lookAtHost gives the host's existing connections another look.
func (e *Engine) lookAtHost(h *host) {
	for _, s := range h.addrs {
		if s != none && e.shown(h, &e.addrs[s].addr, e.now) {
			e.addrs[s].lookDue = true
		}
	}
	e.lookAtFlows()
}
