// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// private is the lowest port that does not belong to a system service.
const private = 1024

const (
	// suspectPeers is how many outside addresses a host sends unknown datagrams to from one
	// port before it is asked.
	suspectPeers = 3
	// askPatience is how long the engine waits for an answer, and the shortest time between
	// two rounds of questions. After askRounds rounds that time is askPause.
	askPatience = 3 * time.Second
	askRounds   = 4
	askPause    = time.Minute
	// suspectGuesses is how many default ports a round goes to. The prober keeps room for one
	// question to another host.
	suspectGuesses = 3
	// askWhile is how long after its last sign a host is asked again by the timer.
	askWhile = 20 * time.Second
)

// suspicion is what points to a host being a client, without proof. The host is asked, and
// loses nothing by it.
type suspicion struct {
	_ [0]func() // not comparable: code to compare it costs flash
	// port is a UDP port of the host. seen[:nseen] are hashes of the addresses to which it
	// sent from there.
	port  uint16
	nseen uint8
	seen  [suspectPeers]uint32

	// hidden are the last connections that looked random, one of each kind: IPv4 or IPv6,
	// to a port of a well-known service or another.
	hidden [4]hiddenLast
	// handshakeAt is when such a connection was last answered in a peer's name. innocents
	// is how many of them in a row were another program's.
	handshakeAt Time
	innocents   uint8
	// ran is when old connections with several addresses last looked like a client's; 0:
	// never.
	ran Time

	reason   detect.Reason // why it is a suspect
	protocol int8          // the last protocol that it was suspected of, none for any
	first    Time          // when it first became a suspect
	last     Time          // when it last gave a reason

	// A round of questions goes to these ports of the address.
	addr   nfq.Addr
	device uint32
	udp    askPorts
	tcp    askPorts
	asked  Time  // when the last round was sent
	rounds uint8 // number of rounds
	sent   uint32
	salt   uint32 // of the last round: its tokens are made from it
	// limited are the times of the last questions of those kinds that must not be sent too
	// often, see limit.
	limited [detect.MaxLimited]seconds
}

// askPorts are the ports at which a host is asked, the newest first.
type askPorts [2]askPort

// askPort is a port, 0 for none, and the protocols that its host is suspected of there.
type askPort struct {
	port uint16
	of   detect.Set
}

// anything is the set of all protocols, for a port of an unknown program.
const anything = ^detect.Set(0)

// note enters a port. It returns false if the port was there for all these protocols.
func (a *askPorts) note(port uint16, of detect.Set) bool {
	for i := range a {
		if x := &a[i]; x.port == port {
			isNew := of&^x.of != 0
			x.of |= of
			return isNew
		}
	}
	a[1], a[0] = a[0], askPort{port, of}
	return true
}

// widen makes the host be asked about more protocols at all known ports.
func (a *askPorts) widen(of detect.Set) {
	for i := range a {
		a[i].of |= of
	}
}

// of returns the protocols that the host is suspected of at any of the ports.
func (a *askPorts) of() detect.Set { return a[0].of | a[1].of }

// has reports whether the port is one of them.
func (a *askPorts) has(port uint16) bool { return port == a[0].port || port == a[1].port }

// suspect notes a reason to suspect a host, and asks it. The ports are where it can be
// asked, 0 if unknown. protocol is none if it may be any.
func (e *Engine) suspect(h *host, protocol int, reason detect.Reason, a *nfq.Addr, d *Device, udp, tcp uint16, now Time) {
	s := &h.suspicion
	if s.first == 0 {
		s.first = now
	}
	s.last, s.reason, s.protocol, s.addr, s.device = now, reason, int8(protocol), *a, d.Index
	isNew, first, of := false, tcp != 0 && s.tcp[0].port == 0, anything
	if protocol != none {
		of = 1 << protocol
	}
	if udp != 0 {
		isNew = s.udp.note(udp, of)
	}
	if tcp != 0 {
		isNew = s.tcp.note(tcp, of) || isNew
	}
	if udp|tcp == 0 {
		s.udp.widen(of)
		s.tcp.widen(of)
	}
	if isNew && s.rounds >= askRounds {
		s.rounds = askRounds - 1 // it has not been asked at the new port yet
	}
	if first && s.rounds > 0 { // it has not been asked by TCP yet: do not wait
		s.asked = min(s.asked, now-Time(askPatience))
	}
	e.ask(h, now)
}

// askAt returns when the host may be asked again.
func (s *suspicion) askAt() Time {
	switch {
	case s.rounds == 0:
		return 0
	case s.rounds < askRounds:
		return s.asked.After(askPatience)
	}
	return s.asked.After(askPause)
}

// ask sends a round of questions to a suspect, in every way that fits. Only a program that
// is there answers with their token.
func (e *Engine) ask(h *host, now Time) {
	s := &h.suspicion
	d := e.device(s.device)
	guess := s.guesses()
	if s.udp[0].port|s.tcp[0].port == 0 && !guess || now < s.askAt() || d == nil || !d.onLink(&s.addr) && !d.behind(&s.addr) || !e.owns(h, &s.addr) {
		return
	}
	from := d.address(&s.addr)
	if from.IsZero() {
		return
	}
	if !e.rounds.take(1, roundsAtOnce, roundsPerSecond, e.seconds(now)) {
		e.Counters.Withheld++
		return
	}
	salt := rand.Uint32() // nobody can guess it
	sent := uint32(0)
	of := s.udp.of() | s.tcp.of()
	if guess {
		of |= 1 << s.protocol
	}
	of &= h.modes.on
	for i, p := range detect.All {
		if !of.Has(i) || e.answeredFor(h, i) {
			continue
		}
		for j := range p.Probes {
			sent += e.question(h, i, j, from, salt, now)
		}
	}
	if sent == 0 {
		e.rounds.used--
		return
	}
	s.rounds = min(s.rounds+1, askRounds)
	s.asked, s.salt = now, salt
	s.sent += sent
	e.Counters.Probes += uint64(sent)
}

// guesses reports whether the host is asked at the ports where programs of its protocol
// listen by default: it has asked for a name of theirs, and nothing says where it listens.
// A program that uses WebRTC may say no more than that.
func (s *suspicion) guesses() bool {
	return s.reason == detect.ReasonName && s.tcp[0].port == 0 && detect.All[s.protocol].WebRTC
}

// answeredFor reports whether the host is proved to run the protocol, and its UDP port is
// known. A client that was proved by TCP may have a UDP port as well: there it can be cut
// and asked.
func (e *Engine) answeredFor(h *host, protocol int) bool {
	c := e.clientOf(h)
	return c != nil && c.proved.Has(protocol) && (c.port != 0 || !detect.All[protocol].Sift)
}

// question sends one question to the ports that it suits, and returns the number sent. Of
// the ports that are known, it uses only the newest by TCP.
func (e *Engine) question(h *host, protocol, way int, from nfq.Addr, salt uint32, now Time) (sent uint32) {
	s, cfg, p := &h.suspicion, &e.cfg.Protocols[protocol], &detect.All[protocol].Probes[way]
	if p.TCP && (!cfg.TCPProbe || e.prober == nil) || !p.TCP && (!cfg.Probe || p.Answered == nil) {
		return 0
	}
	ports := &s.udp
	if p.TCP {
		ports = &s.tcp
	}
	guess := protocol == int(s.protocol) && s.guesses()
	if !guess && !ports.suit(protocol, p) || !e.mayPut(h, protocol, way, now) {
		return 0
	}
	n := p.Build(e.out[:], e.secrets(h, p), salt)
	if n == 0 {
		return 0
	}
	var at [suspectGuesses + len(s.udp)]uint16 // 0: none
	for i := range at {
		switch usual := detect.All[protocol].Ports; {
		case i >= suspectGuesses && ports[i-suspectGuesses].suits(protocol, p):
			at[i] = ports[i-suspectGuesses].port
		case i < suspectGuesses && guess: // each round at the next of them
			at[i] = usual[(int(s.rounds)*suspectGuesses+i)%len(usual)]
		}
	}
	for _, port := range at {
		switch {
		case port == 0:
		case !p.TCP:
			e.send(s.device, nfq.AddrPort{Addr: from, Port: detect.ProbePort}, nfq.AddrPort{Addr: s.addr, Port: port}, e.out[:n])
			sent++
		case sent > 0 && !guess: // by TCP at the newest only
		case e.prober.ProbeTCP(hostProbe(h.slot, port, protocol, salt), s.device, s.addr, port, e.out[:n], p.Alone):
			sent++
		}
	}
	if sent > 0 {
		e.put(h, protocol, way, now)
	}
	return sent
}

// suits reports whether the question may be sent to the port.
func (x *askPort) suits(protocol int, p *detect.Probe) bool {
	return x.port != 0 && x.of.Has(protocol) && !(p.Visible && x.of == anything)
}

// suit reports whether it may be sent to one of them.
func (a *askPorts) suit(protocol int, p *detect.Probe) bool {
	return a[0].suits(protocol, p) || a[1].suits(protocol, p)
}

// limit returns the index in suspicion.limited of a question that must not be sent too
// often.
func limit(protocol, way int) int {
	n := 0
	for i, p := range detect.All {
		for j := range p.Probes {
			switch {
			case i == protocol && j == way:
				return n
			case p.Probes[j].Every != 0:
				n++
			}
		}
	}
	return n
}

// mayPut reports whether the question may be sent to the host now.
func (e *Engine) mayPut(h *host, protocol, way int, now Time) bool {
	every := seconds(detect.All[protocol].Probes[way].Every)
	if every == 0 {
		return true
	}
	last := h.limited[limit(protocol, way)]
	return last == 0 || e.seconds(now)-last >= every
}

// put notes that it was sent.
func (e *Engine) put(h *host, protocol, way int, now Time) {
	if detect.All[protocol].Probes[way].Every != 0 {
		h.limited[limit(protocol, way)] = e.seconds(now)
	}
}

// The numbers of TCP probes. Bit 63 is set if a suspect was asked, not a client. For a
// client, a guessed port's place in Protocol.Ports begins at bit guessAt, counted from 1.
// For a suspect, the port begins at bit askedAt, and the protocol at bit askedOf. The slot
// begins at bit 32. The salt, or the part of it that fits, begins at bit 0. It tells an
// answer to the last question from others.
const (
	suspectProbe = uint64(1) << 63
	guessAt      = 56
	probeSlots   = 1<<(guessAt-32) - 1
	askedAt      = 46
	suspectSlots = 1<<(askedAt-32) - 1
	askedOf      = 28
	askedSalt    = 1<<askedOf - 1
)

func clientProbe(slot int32, salt uint32) uint64 { return uint64(slot)<<32 | uint64(salt) }

func hostProbe(slot int32, port uint16, protocol int, salt uint32) uint64 {
	return suspectProbe | uint64(port)<<askedAt | uint64(slot)<<32 | uint64(protocol)<<askedOf | uint64(salt&askedSalt)
}

// askAnswered handles what a suspect sends to the port that questions come from.
func (e *Engine) askAnswered(p *nfq.Packet, d *Device, h *host, now Time) nfq.Verdict {
	s := &h.suspicion
	if s.rounds == 0 || now.Since(s.asked) > askPatience || s.addr != p.Src ||
		!s.udp.has(p.SrcPort) && !(s.guesses() && slices.Contains(detect.All[s.protocol].Ports, p.SrcPort)) {
		return nfq.Accept
	}
	for i, protocol := range detect.All {
		if !h.modes.on.Has(i) {
			continue
		}
		for j := range protocol.Probes {
			way := &protocol.Probes[j]
			if way.TCP || way.Answered == nil {
				continue
			}
			n := way.Build(e.out[:], e.secrets(h, way), s.salt)
			if n == 0 || !way.Answered(p.Payload, e.out[:n]) {
				continue
			}
			f := e.classify(h, p.Payload)
			f.Protocol, f.Reason = i, detect.ReasonProbe
			if way.Weak {
				e.gaveAway(p, d, h, f, now)
				return nfq.Drop
			}
			if c := e.answeredAsk(h, f, j, s.tcp[0].port, d, now); c != nil {
				c.askedAt, c.port = p.Src, p.SrcPort
				e.ownPort(h, c, p.SrcPort, now)
			}
			return nfq.Drop // nobody listens on that port, and the router would send an ICMP error
		}
	}
	return nfq.Accept
}

// gaveAway handles a suspect's answer that has no token and so proves nothing. If it
// reveals a key or a port, the suspect is asked again with that.
func (e *Engine) gaveAway(p *nfq.Packet, d *Device, h *host, f *detect.Finding, now Time) {
	c := e.enter(h, f.Protocol, f.Reason, &p.Src, d, now)
	if c == nil {
		return
	}
	key := c.key
	c.learn(f)
	c.askedAt, c.port = p.Src, p.SrcPort
	s := &h.suspicion
	if c.key != key {
		s.asked = min(s.asked, now-Time(askPatience))
	}
	e.suspect(h, f.Protocol, s.reason, &p.Src, d, p.SrcPort, f.TCPPort, now)
}

// answeredAsk handles a suspect's answer. way is the way of probing that it answers. listen
// is the TCP port where the suspect listens, 0 if unknown.
func (e *Engine) answeredAsk(h *host, f *detect.Finding, way int, listen uint16, d *Device, now Time) *client {
	s := &h.suspicion
	c := e.enter(h, f.Protocol, f.Reason, &s.addr, d, now)
	if c == nil {
		return nil
	}
	c.way, c.lastProbe, c.lastAnswer = uint8(way), s.asked, now
	c.learn(f)
	switch {
	case detect.All[f.Protocol].Probes[way].TCP: // this port is certain
		c.listen, c.askedAt = listen, s.addr
	case c.listen == 0 && !s.udp.has(listen): // otherwise the port is only a guess
		c.listen = listen
	}
	if c.askedAt.IsZero() {
		c.askedAt = s.addr
	}
	e.Counters.Answers++
	e.prove(h.client, c, f.Protocol, ProofAnswer, f.Reason, [2]nfq.Flow{}, now)
	return c
}

// askedTCP handles a suspect's answer to the TCP probe with number id.
func (e *Engine) askedTCP(id uint64, b []byte, now Time) {
	slot, port, i := int32(id>>32&suspectSlots), uint16(id>>askedAt), int(uint32(id)>>askedOf)
	if int(slot) >= len(e.hosts) || len(b) == 0 || i >= len(detect.All) {
		return
	}
	h := &e.hosts[slot]
	s := &h.suspicion
	d := e.device(s.device)
	if !h.used || s.rounds == 0 || (s.salt^uint32(id))&askedSalt != 0 || !h.modes.on.Has(i) || d == nil || e.exempt(&s.addr, &h.via, now) {
		return
	}
	// An answer counts only for the protocol of its question: Bitcoin's nodes send random
	// data as an answer to most questions.
	f := &e.finding
	for j := range detect.All[i].Probes {
		way := &detect.All[i].Probes[j]
		if !way.TCP || !e.tells(i, way, e.secrets(h, way), b, s.salt, f) {
			continue
		}
		f.Protocol, f.Reason = i, detect.ReasonProbe
		if c := e.answeredAsk(h, f, j, port, d, now); c != nil {
			e.ownPort(h, c, port, now)
			e.notePeers(h, c, f, now)
		}
		return
	}
}

// secrets returns the host's own words that a question needs: the info-hash of a torrent,
// or a key. Other words may come from anybody, so they are left out.
func (e *Engine) secrets(h *host, way *detect.Probe) []byte {
	if !way.Hash && !way.Key {
		return nil
	}
	return e.clientOf(h).words(way)
}

// tells reports whether b, received by TCP, answers a question of the protocol.
func (e *Engine) tells(protocol int, way *detect.Probe, words, b []byte, salt uint32, f *detect.Finding) bool {
	f.Reset()
	if way.Answered != nil {
		n := way.Build(e.out[:], words, salt)
		return n > 0 && way.Answered(b, e.out[:n])
	}
	e.stream.Reset()
	return e.stream.Feed(1<<protocol, 0, b, true, f) == detect.Yes
}

// suspectServer handles a host that answers connections from outside at a port. If the host
// has connections that look random, it is asked at that port.
func (e *Engine) suspectServer(p *nfq.Packet, d *Device, h *host, now Time) {
	for i := range h.hidden {
		if last := h.hidden[i].when; last != 0 && now.Since(last) < conductTime {
			e.suspect(h, none, detect.ReasonEncrypted, &p.Src, d, 0, p.SrcPort, now)
			return
		}
	}
}

// suspectUDP notes an unknown datagram of a host. A host that sends to many addresses from
// one port may be a client, encrypted or in the middle of a transfer.
func (e *Engine) suspectUDP(p *nfq.Packet, d *Device, h *host, now Time) {
	if p.SrcPort < private || p.DstPort < private {
		return
	}
	s := &h.suspicion
	if s.port != p.SrcPort {
		s.port, s.nseen = p.SrcPort, 0
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
	// After a listed name one address is enough.
	named := s.reason == detect.ReasonName && now.Since(s.last) < nameTime
	if named || int(s.nseen) == len(s.seen) {
		e.suspect(h, none, detect.ReasonMany, &p.Src, d, p.SrcPort, 0, now)
	}
}

// suspectQUIC notes a datagram that may be QUIC from or to a port of a protocol that uses it.
// Its content is encrypted, so the host is asked by TCP.
func (e *Engine) suspectQUIC(p *nfq.Packet, d *Device, h *host, now Time) {
	const fixed = 0x40 // a bit that is set in each packet of QUIC
	// Without such a protocol e.quic is none, which is in no set.
	if len(p.Payload) == 0 || p.Payload[0]&fixed == 0 || p.SrcPort < private || !h.modes.on.Has(e.quic) {
		return
	}
	if at := detect.All[e.quic].Port; at == p.SrcPort || at == p.DstPort {
		e.suspect(h, e.quic, detect.ReasonFlow, &p.Src, d, 0, p.SrcPort, now)
	}
}

// Suspect makes the engine ask a host that already sent to several others from a UDP port
// before this engine started.
func (e *Engine) Suspect(a nfq.AddrPort, now Time) {
	e.now = now
	d := e.deviceOf(&a.Addr)
	if d == nil || e.exempt(&a.Addr, &nfq.MAC{}, now) {
		return
	}
	h := e.hostAt(&a.Addr)
	if h == nil {
		// Its MAC becomes known with the answer.
		if h = e.hostOf(&nfq.Packet{Src: a.Addr}, d, now); h == nil {
			return
		}
	}
	e.suspect(h, none, detect.ReasonMany, &a.Addr, d, a.Port, 0, now)
}

// deviceOf returns the device on whose link the address is, or nil.
func (e *Engine) deviceOf(a *nfq.Addr) *Device {
	for i := range e.devices {
		if d := &e.devices[i]; len(d.Prefixes) > 0 && d.onLink(a) {
			return d
		}
	}
	return nil
}
