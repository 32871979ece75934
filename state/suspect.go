// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// private is the lowest port that is no system service's.
const private = 1024

const (
	// suspectTime is how long what makes a client likely counts.
	suspectTime = time.Minute
	// suspectPeers is how many addresses outside a host speaks to from one
	// port, with what nothing is known by, before it is asked what it is.
	suspectPeers = 3
	// askPatience is how long an answer to that is waited for, and the least
	// time between two questions; after askTimes of them it is askPause.
	askPatience = 3 * time.Second
	askTimes    = 2 * 2 // protocols that sift times their ways by UDP, at least
	askPause    = time.Minute
)

// suspicion is what speaks for a host being a client that was not recognised.
type suspicion struct {
	likely Time // until then, an encrypted session is taken for a client's
	// port is a UDP port of the host from which it speaks to addresses of
	// which seen[:nseen] are hashes.
	port  uint16
	nseen uint8
	seen  [suspectPeers]uint32
	// asked is when the host's port askedPort was asked last, in way askWay,
	// and asks how often.
	asked     Time
	askedPort uint16
	askWay    uint8
	asks      uint8
	salt      uint32 // of the question
}

// suspectUDP notes an unknown datagram of a host: who speaks from one port to
// many may be a client, encrypted or in the middle of a transfer.
func (e *Engine) suspectUDP(p *nfq.Packet, d *Device, h *host, now Time) {
	if p.SrcPort < private || p.DstPort < private || h.client != none {
		return
	}
	s := &h.suspicion
	if s.port != p.SrcPort {
		s.port, s.nseen, s.asks = p.SrcPort, 0, 0
	}
	if int(s.nseen) < len(s.seen) {
		x := e.hash.addr(&p.Dst)
		for _, y := range s.seen[:s.nseen] {
			if x == y {
				return
			}
		}
		s.seen[s.nseen] = x
		s.nseen++
	}
	if int(s.nseen) == len(s.seen) {
		e.ask(h, nfq.AddrPort{Addr: p.Src, Port: p.SrcPort}, d, now)
	}
}

// ask sends the host a probe, as a client gets one: if it answers, it is one.
func (e *Engine) ask(h *host, to nfq.AddrPort, d *Device, now Time) {
	s := &h.suspicion
	pause := askPatience
	if s.asks >= askTimes {
		pause = askPause
	}
	if h.client != none || s.asked != 0 && now.Since(s.asked) < pause {
		return
	}
	from := d.address(&to.Addr)
	if from.IsZero() {
		return
	}
	if s.askedPort != to.Port {
		s.asks = 0
	}
	for range e.askWays {
		w := e.askWays[int(s.askWay)%len(e.askWays)]
		s.askWay++
		s.salt = word(e.hash.seed, h.hash)
		if n := detect.All[w.protocol].Probes[w.way].Build(e.out[:], nil, s.salt); n > 0 {
			s.asked, s.askedPort = now, to.Port
			s.asks++
			e.send(nfq.AddrPort{Addr: from, Port: detect.ProbePort}, to, e.out[:n])
			e.Counters.Probes++
			return
		}
	}
}

// askWay is a probe that can be sent to a host of which nothing is known.
type askWay struct{ protocol, way uint8 }

// setAskWays collects the probes by which suspected hosts are asked.
func (e *Engine) setAskWays() {
	e.askWays = e.askWays[:0]
	for i, p := range detect.All {
		if !p.Sift || e.cfg.Protocols[i].Mode == Off || !e.cfg.Protocols[i].Probe {
			continue
		}
		for j := range p.Probes {
			if x := &p.Probes[j]; !x.TCP && x.Answered != nil {
				e.askWays = append(e.askWays, askWay{uint8(i), uint8(j)})
			}
		}
	}
}

// askAnswered deals with what a host that is no client sends to the port that
// probes come from.
func (e *Engine) askAnswered(p *nfq.Packet, d *Device, h *host, now Time) nfq.Verdict {
	s := &h.suspicion
	if s.asked == 0 || now.Since(s.asked) > askPatience || s.askedPort != p.SrcPort {
		return nfq.Accept
	}
	w := e.askWays[int(s.askWay-1)%len(e.askWays)]
	protocol := detect.All[w.protocol]
	way := &protocol.Probes[w.way]
	n := way.Build(e.out[:], nil, s.salt)
	if n == 0 || !way.Answered(p.Payload, e.out[:n]) {
		return nfq.Accept
	}
	f := e.classify(p.Payload)
	f.Protocol, f.Reason = int(w.protocol), detect.ReasonProbe
	c := e.met(h, f, &p.Src, d, &nfq.Addr{}, 0, now)
	if c == nil {
		return nfq.Accept
	}
	c.askedAt, c.port, c.way = p.Src, p.SrcPort, w.way
	c.lastProbe = s.asked
	c.learn(f)
	e.answered(h.client, c, now)
	return nfq.Drop
}

// Suspect has a host asked what it is that was seen to speak to several others
// from a UDP port before this engine began.
func (e *Engine) Suspect(a nfq.AddrPort, now Time) {
	e.now = now
	if len(e.askWays) == 0 {
		return
	}
	for i := range e.devices {
		d := &e.devices[i]
		if len(d.Prefixes) == 0 || !d.onLink(&a.Addr) || e.exempt(&a.Addr, &nfq.MAC{}, now) {
			continue
		}
		h := e.hostAt(&a.Addr)
		if h == nil {
			// The MAC comes with the answer.
			if h = e.hostOf(&nfq.Packet{Src: a.Addr}, d, now); h == nil {
				return
			}
		}
		e.ask(h, a, d, now)
		return
	}
}

// encrypted deals with the first data b of a connection that nothing is known by.
// It reports whether it is an encrypted session of a client: of one that is
// known, or of a host of which enough else speaks for it.
func (e *Engine) encrypted(b []byte, h *host, port uint16, now Time) (protocol int, ok bool) {
	if port < private {
		return 0, false
	}
	for i, p := range detect.All {
		if p.Encrypted == nil || e.cfg.Protocols[i].Mode == Off {
			continue
		}
		known := now < h.likely
		if h.client != none {
			c := &e.clients[h.client]
			known = known || c.locked && int(c.protocol) == i
		}
		if known && p.Encrypted(b) {
			return i, true
		}
	}
	return 0, false
}
