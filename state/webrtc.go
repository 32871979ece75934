// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// Programs of BitTorrent exchange pieces by WebRTC as well (WebTorrent). Each session has a
// UDP port of its own, so that the client's own ports do not cover it. Of a locked host such
// a session is cut when it is a program's and not a browser's, and carries data channels:
// its port is the client's then. A call, a browser's game and a program that sends pictures
// go on. None of this proves anything, or holds a lock.

const (
	// maxRTC is how many ports with sessions of WebRTC are known, of all hosts.
	maxRTC = 128
	// rtcEnough is after how many of a client's sessions that were cut no more are let begin
	// that are a program's. A session that has begun passes some pieces until the kernel
	// cuts it, and such a client begins a hundred a second.
	rtcEnough = 2
	// rtcPatience is how long a session of a locked host is looked at of which it is not
	// known whose it is, before it is believed: programs check every few seconds whether
	// the other side still listens.
	rtcPatience = 20 * time.Second
)

// rtcKind is what is known of a port with sessions of WebRTC.
type rtcKind uint8

const (
	rtcNone    rtcKind = iota
	rtcWaits           // something came that does not tell whose it is
	rtcCheck           // a browser may have it
	rtcProgram         // a program has it that is no browser
	rtcCut             // and it carries data channels, of a locked client
)

// rtcTable are the ports of LAN hosts with sessions of WebRTC, as far as they tell
// something. A place is one here by its address and port alone.
type rtcTable struct {
	table.Recent[place]
	ports []rtc // by slot
	cuts  int   // how many of them are cut
}

type rtc struct {
	kind rtcKind
	late bool // it began when some of the client's were cut
	from Time // since when it waits
}

func newRTCTable() rtcTable { return rtcTable{table.NewRecent[place](maxRTC), make([]rtc, maxRTC), 0} }

// set notes what is known of a port.
func (t *rtcTable) set(slot int32, k rtcKind) {
	switch p := &t.ports[slot]; {
	case p.kind != rtcCut && k == rtcCut:
		t.cuts++
	case p.kind == rtcCut && k != rtcCut:
		t.cuts--
	}
	t.ports[slot].kind = k
}

// rtcVerdict is what becomes of a datagram by what is known of WebRTC.
type rtcVerdict uint8

const (
	rtcLeave rtcVerdict = iota // nothing: other signs count
	rtcWatch                   // more of the flow is to be seen
	rtcDrop
)

// rtcProtocol returns the protocol whose sessions of WebRTC are cut on the client's host,
// or none.
//
//go:noinline
func (e *Engine) rtcProtocol(h *host, c *client) int {
	if c == nil || !c.selective {
		return none
	}
	for i, p := range detect.All {
		if p.WebRTC && c.proved.Has(i) && e.blocksUDP(h, i) {
			return i
		}
	}
	return none
}

// after is what is known of a port when something more was said from it, and what becomes
// of that. locked says that the host is locked for a protocol with such sessions, late
// that some of them were cut before this one began.
func (k rtcKind) after(said detect.RTC, locked, late bool) (next rtcKind, do rtcVerdict) {
	next = k
	switch {
	case said == detect.RTCProgram:
		next = max(k, rtcProgram)
	case said == detect.RTCCheck && (k != rtcNone || locked):
		next = rtcCheck // also when a program had the port before
	case said == detect.RTCHello && k == rtcCheck:
		next = rtcProgram
	case (said == detect.RTCData || said == detect.RTCLikeData) && k >= rtcProgram:
		next = rtcCut
	case (said == detect.RTCSTUN || said == detect.RTCData) && k == rtcNone && locked:
		next = rtcWaits
	}
	switch {
	case !locked: // it is only remembered
		next = min(next, rtcProgram)
		if said == detect.RTCSTUN && k != rtcCheck {
			do = rtcWatch
		}
	case next == rtcCut, next == rtcProgram && late:
		do = rtcDrop
	case next == rtcProgram, next == rtcWaits, said == detect.RTCCheck:
		do = rtcWatch
	}
	return next, do
}

// webRTC looks at a datagram of a host for sessions of WebRTC. c is its client, or nil, and
// protocol that for which they are cut, or none. What is seen of a host that is not locked is
// remembered: a session may be there already when the lock begins.
func (e *Engine) webRTC(p *nfq.Packet, h *host, c *client, protocol int, now Time) rtcVerdict {
	said := detect.WebRTC(p.Payload)
	if said == detect.RTCNone && protocol == none || !e.owns(h, &p.Src) || protocol != none && c.owns(p.SrcPort) {
		return rtcLeave
	}
	key, hash := place{addr: p.Src, port: p.SrcPort}, finish(word(e.hash.addr(&p.Src), uint32(p.SrcPort)))
	t := &e.rtc
	slot, known := t.Get(key, hash), rtcNone
	if slot != none {
		known = t.ports[slot].kind
		t.Touch(slot)
	}
	late := protocol != none && c.sessions >= rtcEnough && (slot == none || t.ports[slot].late)
	next, do := known.after(said, protocol != none, late)
	switch {
	case next == known:
		if known == rtcWaits && now.Since(t.ports[slot].from) > rtcPatience {
			return rtcLeave
		}
		return do
	case known == rtcCut:
		e.uncutRTC(slot)
	case next == rtcCut && !e.cutRTC(p, h, c, protocol, now):
		return do
	}
	if slot == none {
		slot = e.newRTC(key, hash)
		t.ports[slot].from, t.ports[slot].late = now, late
	}
	t.set(slot, next)
	return do
}

// ownedRTC notes that a port is cut as the client's own from now on.
func (e *Engine) ownedRTC(a *nfq.Addr, port uint16) {
	for s := range e.rtc.Len() {
		if k := e.rtc.Key(int32(s)); k.port == port && k.addr == *a && e.rtc.ports[s].kind == rtcCut {
			e.rtc.set(int32(s), rtcProgram)
		}
	}
}

// newRTC enters a port, in the place of the one that was used longest ago when there are too
// many.
func (e *Engine) newRTC(key place, hash uint32) int32 {
	t := &e.rtc
	if t.Len() == maxRTC { // the one that was used longest ago gives way, if it is not cut
		s := t.Oldest()
		for range t.cuts {
			if t.ports[s].kind != rtcCut || t.Newer(s) == none {
				break
			}
			t.Touch(s)
			s = t.Oldest()
		}
		e.uncutRTC(s)
	}
	slot, _ := t.Take(key, hash)
	t.ports[slot] = rtc{}
	return slot
}

// cutRTC has the kernel cut the port from which p comes, and reports whether it may.
func (e *Engine) cutRTC(p *nfq.Packet, h *host, c *client, protocol int, now Time) bool {
	if !e.mayChange(h, 1, now) {
		return false // its words are cut all the same
	}
	e.Counters.Cuts++
	c.sessions = min(c.sessions+1, rtcEnough)
	if h.modes.blocks.Has(protocol) {
		e.tellCut(h, c, &flowKey{p.Src, p.Dst, p.SrcPort, p.DstPort}, false, protocol, detect.ReasonFlow)
	}
	if e.sets == nil || h.last == none || !e.room(1) {
		return true
	}
	a := &e.addrs[h.last]
	if a.addr != p.Src || now < a.contested {
		return true
	}
	a.inKernel = true
	e.markFirst(c, a, e.cutTime())
	e.sets.Own(p.Src, nfq.ProtoUDP, p.SrcPort, c.lockUntil.Since(now))
	e.cutFlows(c)
	return true
}

// uncutRTC has the kernel let go of a port, if it was cut.
func (e *Engine) uncutRTC(slot int32) {
	t := &e.rtc
	if t.ports[slot].kind != rtcCut {
		return
	}
	t.set(slot, rtcProgram)
	if k := t.Key(slot); e.sets != nil {
		e.sets.Disown(k.addr, nfq.ProtoUDP, k.port)
	}
}

// cutPortsOf calls f for each port of the address with a session that is cut.
//
//go:noinline
func (e *Engine) cutPortsOf(a *nfq.Addr, f func(port uint16)) {
	t := &e.rtc
	for s := range t.Len() {
		if t.ports[s].kind == rtcCut && t.Key(int32(s)).addr == *a {
			f(t.Key(int32(s)).port)
		}
	}
}

// uncutPortsOf ends that for all of them.
//
//go:noinline
func (e *Engine) uncutPortsOf(a *nfq.Addr) {
	for s := range e.rtc.Len() {
		if e.rtc.Key(int32(s)).addr == *a {
			e.uncutRTC(int32(s))
		}
	}
}
