// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// BitTorrent programs also exchange pieces by WebRTC (WebTorrent). Each session has its own
// UDP port, so the cut of the client's own ports does not cover it. On a locked host, such
// a session is cut if it belongs to a program, not a browser, and carries data channels:
// then the port is the client's. Calls, games in a browser and programs that send video go
// on. None of this proves anything or renews a lock.

const (
	// maxRTC is how many ports with WebRTC sessions are known, over all hosts.
	maxRTC = 128
	// rtcEnough is the number of a client's sessions that are cut before its new sessions
	// of programs may not even begin. A new session passes some pieces before the kernel
	// cuts it, and such a client starts a hundred a second.
	rtcEnough = 2
	// rtcPatience is how long the engine watches a session of a locked host whose program
	// is unknown. Then it lets the session go: programs check every few seconds whether the
	// other side still listens.
	rtcPatience = 20 * time.Second
)

// rtcKind is what is known about a port with WebRTC sessions.
type rtcKind uint8

const (
	rtcNone    rtcKind = iota
	rtcWaits           // something came that does not tell which program it is
	rtcCheck           // a browser may have it
	rtcProgram         // a program that is no browser has it
	rtcCut             // it also carries data channels, of a locked client
)

// rtcTable holds the ports of LAN hosts with WebRTC sessions that tell something. Here a
// place is only an address and a port.
type rtcTable struct {
	table.Recent[place]
	ports []rtc // by slot
	cuts  int   // number of ports that are cut
}

type rtc struct {
	kind rtcKind
	late bool // it began after some of the client's sessions were cut
	from Time // when the wait began
}

func newRTCTable() rtcTable { return rtcTable{table.NewRecent[place](maxRTC), make([]rtc, maxRTC), 0} }

// set records what is known about a port.
func (t *rtcTable) set(slot int32, k rtcKind) {
	switch p := &t.ports[slot]; {
	case p.kind != rtcCut && k == rtcCut:
		t.cuts++
	case p.kind == rtcCut && k != rtcCut:
		t.cuts--
	}
	t.ports[slot].kind = k
}

// rtcVerdict is the decision about a datagram from its WebRTC contents.
type rtcVerdict uint8

const (
	rtcLeave rtcVerdict = iota // none: other signs decide
	rtcWatch                   // the engine needs to see more of the flow
	rtcDrop
)

// rtcProtocol returns the protocol whose WebRTC sessions are cut on the client's host, or
// none.
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

// after returns the new state of a port when a message came from it, and the decision about
// that message. locked says that the host is locked for a protocol with such sessions. late
// says that some of them were cut before this one began.
func (k rtcKind) after(said detect.RTC, locked, late bool) (next rtcKind, do rtcVerdict) {
	next = k
	switch {
	case said == detect.RTCProgram:
		next = max(k, rtcProgram)
	case said == detect.RTCCheck && (k != rtcNone || locked):
		next = rtcCheck // even if a program had the port before
	case said == detect.RTCHello && k == rtcCheck:
		next = rtcProgram
	case (said == detect.RTCData || said == detect.RTCLikeData) && k >= rtcProgram:
		next = rtcCut
	case (said == detect.RTCSTUN || said == detect.RTCData) && k == rtcNone && locked:
		next = rtcWaits
	}
	switch {
	case !locked: // the state is only remembered
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

// webRTC examines a datagram of a host for WebRTC sessions. c is its client, or nil.
// protocol is the one for which sessions are cut, or none. Sessions of hosts that are not
// locked are remembered, because a lock may begin later.
func (e *Engine) webRTC(p *nfq.Packet, h *host, c *client, protocol int, now Time) rtcVerdict {
	said := detect.WebRTC(p.Payload)
	if said == detect.RTCNone && protocol == none || !e.owns(h, &p.Src) || protocol != none && c.owns(p.SrcPort) {
		return rtcLeave
	}
	if said == detect.RTCProgram && protocol == none && h.guesses() && now.Since(h.suspicion.last) < e.cfg.Forget {
		e.ask(h, now)
	}
	key, hash := place{addr: p.Src, port: p.SrcPort}, finish(word(e.hash.addr(&p.Src), uint32(p.SrcPort)))
	t := &e.rtc
	slot, known := t.Get(&key, hash), rtcNone
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

// ownedRTC notes that from now on the port is cut as one of the client's own.
func (e *Engine) ownedRTC(a *nfq.Addr, port uint16) {
	for s := range e.rtc.Len() {
		if k := e.rtc.Key(int32(s)); k.port == port && k.addr == *a && e.rtc.ports[s].kind == rtcCut {
			e.rtc.set(int32(s), rtcProgram)
		}
	}
}

// newRTC adds a port. If the table is full, the one used longest ago gives way.
func (e *Engine) newRTC(key place, hash uint32) int32 {
	t := &e.rtc
	if t.Len() == maxRTC { // a port that is cut does not give way if another can
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
	slot, _ := t.Take(&key, hash)
	t.ports[slot] = rtc{}
	return slot
}

// cutRTC makes the kernel cut the port from which p comes. It returns false if the host has
// used up its changes.
func (e *Engine) cutRTC(p *nfq.Packet, h *host, c *client, protocol int, now Time) bool {
	if !e.mayChange(h, 1, now) {
		return false // its data is dropped by the engine anyway
	}
	e.Counters.Cuts++
	c.sessions = min(c.sessions+1, rtcEnough)
	if h.modes.blocks.Has(protocol) {
		e.tellCut(h, c, &flowKey{lan: p.Src, wan: p.Dst, lport: p.SrcPort, wport: p.DstPort}, false, protocol, detect.ReasonFlow)
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

// uncutRTC ends the kernel's cut of a port, if there is one.
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

// uncutPortsOf ends the kernel's cuts of all these ports.
//
//go:noinline
func (e *Engine) uncutPortsOf(a *nfq.Addr) {
	for s := range e.rtc.Len() {
		if e.rtc.Key(int32(s)).addr == *a {
			e.uncutRTC(int32(s))
		}
	}
}
