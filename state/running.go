// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// A client with everything switched off and all of it encrypted, and with all its
// connections up before the wall, opens nothing that could be asked. What is left is the
// middle of these connections. When those with two addresses may be a client's, the host is
// asked where such programs listen, which costs nobody anything. When they look more like
// it, the host's next connection that looks random is asked as well. Those that are certain
// are ended once: their program opens another, and that is asked.

// seen tells whether something was seen with several addresses.
type seen struct {
	first   uint32 // hash of the first, 0: there is none
	several bool
}

// note takes note of an address, and reports whether there are several.
func (s *seen) note(a uint32) bool {
	a |= 1 // never 0
	if s.first == 0 {
		s.first = a
	}
	s.several = s.several || s.first != a
	return s.several
}

// hiding returns the protocol of which sessions can look like nothing in particular, if it
// is looked for in the mode or a harder one, or none.
func (e *Engine) hiding(least Mode) int {
	for i, p := range detect.All {
		if p.Hidden != nil && p.Hidden.Middle != nil && e.any.mode(i) >= least {
			return i
		}
	}
	return none
}

// runs looks at what a host sends on a connection of which nobody saw the beginning. Yes
// says that it is a client's, and was ended; More that it may show to be one.
func (e *Engine) runs(p *nfq.Packet, d *Device, h *host, slot int32, now Time) detect.Match {
	fl := &e.flows.flows[slot]
	protocol := e.hiding(Block) // or none, which is never blocked
	if !h.modes.blocks.Has(protocol) || fl.begun || fl.decided != 0 || service(fl) || fl.looks >= middleMost {
		return detect.No
	}
	key := &fl.key
	s := e.standingOf(&key.lan)
	if s == nil || s.peers < standingPeers || slices.Contains(s.served[:], key.lport) {
		return detect.No
	}
	if j := e.judgement(h, fl, now); j != unknown && j != peers {
		return detect.No
	}
	fl.looks++
	m := detect.All[protocol].Hidden.Middle(&fl.middle, p.Payload, p.TCPFlags&nfq.PSH != 0)
	to := e.hash.addr(&key.wan)
	if fl.middle.May && !s.may.several && s.may.note(to) {
		s.ask, s.round, s.next = 0, min(s.round, standingRounds-1), now
		e.wheel.Set(e.standingTimer(), now)
	}
	if m != detect.Yes {
		return m
	}
	if !s.like.note(to) {
		return detect.More
	}
	e.runsOn(s, h, d, protocol, now)
	if !fl.middle.Sure {
		return detect.More
	}
	fl.fate, fl.protocol = cut, uint8(protocol)
	e.Counters.Cuts++
	e.judge(h, fl, stopped, now)
	e.reset(p)
	e.tellCut(h, nil, key, true, protocol, detect.ReasonFlow)
	return detect.Yes
}

// runsOn notes that a host has connections with several addresses which look like a
// client's.
func (e *Engine) runsOn(s *standing, h *host, d *Device, protocol int, now Time) {
	if h.suspicion.ran == 0 { // the others are looked at once more
		s.lookDue = true
		e.lookAtFlows()
	}
	s.until, h.suspicion.ran = now.After(standingMore), now
	x := &h.suspicion
	x.sent, x.asked = max(x.sent, s.sent), max(x.asked, s.asked)
	e.suspect(h, protocol, detect.ReasonFlow, &s.addr, d, 0, 0, now)
}
