// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// A client may have every optional feature off, encrypt everything, and have all its
// connections from before the wall started. Then it opens nothing that could be asked. Only
// the middle of its connections is left, and the engine reads that. If connections with two
// addresses may be a client's, or one has the lengths of a client's requests, or one looks like
// a client's at the port of a service, where others speak TLS, the engine asks the host where
// such programs listen. That harms nobody. If connections with two addresses
// look more like it, the engine also asks the host's next connection that looks random. It
// ends each of them once that certainly is a client's. The program connects again, and that
// connection is asked. One connection with messages in clear is enough for all of this.

// seen tells whether something was seen with several addresses.
type seen struct {
	first   uint32 // hash of the first address, 0 for none
	several bool
}

// note notes an address, and reports whether there are several.
func (s *seen) note(a uint32) bool {
	a |= 1 // never 0
	if s.first == 0 {
		s.first = a
	}
	s.several = s.several || s.first != a
	return s.several
}

// hiding returns a protocol whose sessions can look random, or none. Some host must have it
// in mode least or a stronger one.
func (e *Engine) hiding(least Mode) int {
	for i, p := range detect.All {
		if p.Hidden != nil && p.Hidden.Middle != nil && e.any.mode(i) >= least {
			return i
		}
	}
	return none
}

// runs reads what a host sends on a connection whose beginning nobody saw. Yes says that it
// is a client's and was ended. More says that further data may show that.
func (e *Engine) runs(p *nfq.Packet, d *Device, h *host, slot int32, now Time) detect.Match {
	fl := &e.flows.flows[slot]
	if fl.begun || fl.decided != 0 || fl.looks >= middleMost {
		return detect.No
	}
	protocol := e.hiding(Block) // none is never blocked
	if !h.modes.blocks.Has(protocol) {
		return detect.No
	}
	key := &fl.key
	s := e.standingOf(&key.lan)
	proto := detect.All[protocol]
	clear := proto.Middle != nil && proto.Middle(p.Payload)
	if s == nil || slices.Contains(s.served[:], key.lport) {
		return detect.No
	}
	if j := e.judgement(h, fl, now); j != unknown && j != peers {
		return detect.No
	}
	fl.looks++
	m := proto.Hidden.Middle(&fl.middle, p.Payload, p.TCPFlags&nfq.PSH != 0)
	to := e.hash.addr(&key.wan)
	asks, random := s.may.several, service(fl) && !clear
	switch {
	case random: // it may be the service's, but few services send such data without TLS
		s.may.several = asks || m == detect.Yes
	case fl.middle.May:
		s.may.note(to)
	}
	s.may.several = s.may.several || fl.middle.Sure
	if s.may.several && !asks {
		s.ask, s.round, s.next = 0, min(s.round, standingRounds-1), now
		e.wheel.Set(e.standingTimer(), now)
	}
	switch {
	case m != detect.Yes:
		return m
	case random: // when the host is locked, more of it will be known
		return detect.More
	}
	if (!s.like.note(to) || s.all < standingPeers) && !clear {
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

// runsOn notes that a host has connections with several addresses that look like a
// client's.
func (e *Engine) runsOn(s *standing, h *host, d *Device, protocol int, now Time) {
	if h.suspicion.ran == 0 { // its other connections get another look
		s.lookDue = true
		e.lookAtFlows()
	}
	s.until, h.suspicion.ran = now.After(standingMore), now
	x := &h.suspicion
	x.sent, x.asked = max(x.sent, s.sent), max(x.asked, s.asked)
	e.suspect(h, protocol, detect.ReasonFlow, &s.addr, d, 0, 0, now)
}
