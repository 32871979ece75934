// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// A client of a quiet protocol may have its sessions from before the wall started, from
// before it died and started again, or from a time when a policy left it alone. Then it
// sends nothing that could be recognised. So the engine asks, by TCP, each host that had
// connections to high ports outside. If a host shows a sign but gives no answer, the engine
// ends each of its unknown connections once. The program opens it again, and so shows how it
// begins.

const (
	// standingTime is how long a host's old connections are watched, standingMore how long
	// after a sign.
	standingTime = 2 * time.Minute
	standingMore = 10 * time.Minute
	// standingTick is the time between two groups of questions, standingPause the pause
	// between two rounds of questions to a host. There are standingRounds of them.
	standingTick   = time.Second
	standingPause  = 15 * time.Second
	standingRounds = 2
	// standingPeers is the least number of addresses that a host has connections with
	// before any of these is ended; see mayEnd.
	standingPeers = 2
	// A client sends a search to all its supernodes at once, to each so many bytes. So many
	// addresses and ports are a sign if the last segments to each, sent within sameTime, have
	// one length: sameSure at once, or sameTo again after sameTime. At most one address in
	// five may have got another length. Segments of random lengths are so by chance too
	// rarely to matter. Segments shorter than sameBytes do not count. BitTorrent's "have"
	// messages are such.
	sameTo    = 3
	sameSure  = 4
	samePorts = 3
	sameTime  = time.Second
	sameBytes = 20
	// saidSize is how many bytes of a host's data are examined.
	saidSize = 64
	// standingSegments is how many segments of a connection are read without a sign before
	// it is let go.
	standingSegments = 64
	// standingWait is how long the kernel must have shown a host's data before a
	// connection's first segment here counts as the beginning of a message.
	standingWait = 2 * time.Second
	// standingSilence is how long a host that has shown the sign at the protocol's port must
	// say nothing on a connection for it to be ended.
	standingSilence = 3 * time.Second
	// standingGreet is the time after a server's words until the engine says something in its
	// name: the host must have got the words, or they would take the place of the engine's.
	standingGreet = 300 * time.Millisecond
)

// standing is a host that had connections before the engine saw their beginning.
type standing struct {
	until  Time // 0: this place is free
	addr   nfq.Addr
	mac    nfq.MAC
	device uint32
	peers  int // outside addresses, without those of services
	all    int // with them
	// served are ports at which it serves others. sends are those from which it has sent
	// datagrams to several, or a client's: most programs listen there by TCP as well. ask is
	// the next question of the round, round the number of finished rounds.
	served [len(nfq.Standing{}.Served)]uint16
	sends  askPorts
	met    [len(nfq.Standing{}.Met)]nfq.AddrPort // servers and peers of networks that have servers
	ask    uint8
	way    uint8 // the next way of putting it
	round  uint8
	first  uint8 // the protocol that is asked about first
	next   Time
	asked  Time   // when the last question was sent
	sent   uint32 // number of questions
	salt   uint32 // tells answers for this host from others
	// sign: it accepted a connection at the protocol's own port and sent nothing, or it
	// sent the same to several addresses. named: it has a program that can use the protocol.
	// That one answered at its user interface, or knew words of the protocol.
	sign, named bool
	words       uint16 // port at which words are sent, or 0
	word        uint8  // how many it took as its program does
	wordDue     bool   // the next one is to be sent
	// open are its connections at the start. silent is when those in which it has said
	// nothing are to be stirred, stirred when they were, and about which protocol.
	open     []nfq.Conn
	silent   Time
	stirred  Time
	stirring int8
	greet    Time // when its connection with a server is to be stirred
	// others is how many questions to the other ends of these connections are left, 0 if they
	// have not begun, othersDone if there are no more; see others.go.
	// server is the number of the connection in which a server's words came in, counted from
	// 1; 0 if there is none.
	others, server int8

	lookDue bool // its connections need another look
	watched bool // they had the first look
	// The addresses with connections whose middle may be a client's, or looks like a
	// client's. may.several is also set if one connection certainly is a client's.
	may, like seen
	// same are the last segments that it sent, one for each address. searched is when they
	// last looked like a search.
	same     [8]sameSegment
	searched Time
}

// sameSegment is a segment's length and destination.
type sameSegment struct {
	when   Time
	to     uint32 // hash of the address
	slot   int32  // of the connection
	ack    uint32 // what it acknowledged
	port   uint16
	length uint16
}

// The number of a TCP probe to such a host: bit 62 is set, the index in Engine.standing
// begins at bit 48, the number of the question at bit 32, and the salt at bit 0.
const standingProbe = uint64(1) << 62

// standingWords is the number of the questions with words, standingOthers that of the first
// question to another end.
const (
	standingWords  = 0xffff
	standingOthers = 0x8000
)

// Standing tells the engine of a host that had connections to the outside before this
// engine started, or while it left the host alone. The engine asks it. mac is the address's
// owner by the neighbour table.
func (e *Engine) Standing(x *nfq.Standing, mac nfq.MAC, now Time) {
	e.now = now
	d := e.deviceOf(&x.Addr)
	if d == nil || !e.looksBehind() || e.exempt(&x.Addr, &mac, now) {
		return
	}
	s := e.standingOf(&x.Addr)
	if s == nil { // take a free place, or that of the host with the fewest peers
		s = &e.standing[0]
		for i := range e.standing {
			if o := &e.standing[i]; s.until != 0 && (o.until == 0 || o.peers < s.peers) {
				s = o
			}
		}
		if s.until != 0 && s.peers >= x.Peers {
			return
		}
	}
	e.stands = true
	*s = standing{
		until: now.After(standingTime), addr: x.Addr, mac: mac, device: d.Index, peers: x.Peers, salt: rand.Uint32(),
	}
	s.served, s.met, s.open, s.all = x.Served, x.Met, x.Open, x.Peers+x.Services
	if h := e.hostAt(&x.Addr); h != nil {
		s.sends = h.suspicion.udp
		if c := e.clientOf(h); c != nil && c.port != 0 {
			s.sends.note(c.port, 0)
		}
	}
	// A program may leave a question that it does not know unanswered for seconds. So what
	// the host's connections point to comes first.
	for i, p := range detect.All {
		if s.meets(p) {
			s.first = uint8(i)
			break
		}
	}
	if q := e.meeting(); q != none && s.meets(detect.All[q]) {
		e.askOthers(&s.addr, now)
	}
	if x.Peers == 0 && x.Served == [len(x.Served)]uint16{} && x.Met == [len(x.Met)]nfq.AddrPort{} {
		s.round = standingRounds // nothing points to a client yet
	}
	e.wheel.Set(e.standingTimer(), now)
}

// looksBehind reports whether the engine asks hosts about their old connections.
func (e *Engine) looksBehind() bool {
	for i, p := range detect.All {
		if p.Servers != nil && e.any.mode(i) >= Monitor {
			return true
		}
	}
	return e.quiet(Monitor) != none || e.hiding(Monitor) != none
}

// meets reports whether the host has connections to servers or peers of the protocol. It is
// not inlined, which would cost 0.4 KB of flash.
//
//go:noinline
func (s *standing) meets(p *detect.Protocol) bool {
	return slices.ContainsFunc(s.met[:], func(a nfq.AddrPort) bool { return p.Meets(a.Port) })
}

// quiet returns the quiet protocol, or none. Some host must have it in mode least or a
// stronger one.
func (e *Engine) quiet(least Mode) int {
	for i, p := range detect.All {
		if p.Quiet && e.any.mode(i) >= least {
			return i
		}
	}
	return none
}

// standingTimer is the number of the timer for all these hosts, the last one.
func (e *Engine) standingTimer() int32 { return int32(len(e.clients)) + maxFlows }

// tickStanding does what is due for all these hosts.
func (e *Engine) tickStanding(now Time) {
	left := false
	for i := range e.standing {
		s := &e.standing[i]
		switch {
		case s.until == 0:
			continue
		case now >= s.until:
			*s = standing{}
			continue
		}
		left = true
		e.watchStanding(s, now)
		e.askNext(i, s, now)
		if q := e.meeting(); s.greet != 0 && now >= s.greet && q != none {
			s.greet = 0
			e.stir(s, q, now)
		}
		if s.silent != 0 && now >= s.silent {
			s.silent = 0
			e.stir(s, e.quiet(Block), now)
		}
		if s.sign && s.round == standingRounds { // check whether it still runs
			s.round, s.next = standingRounds-1, now.After(standingMore/2)
		}
	}
	if e.stands = left; left {
		e.wheel.Set(e.standingTimer(), now.After(standingTick))
	}
}

// askNext sends the host the questions that are due, as far as there is room.
func (e *Engine) askNext(i int, s *standing, now Time) {
	if q := e.quiet(Monitor); s.wordDue && q != none {
		detect.All[q].Word(e.out[:], int(s.word), s.salt)
		id := standingProbe | uint64(i)<<48 | standingWords<<32 | uint64(s.salt)
		if !e.prober.ProbeTCP(id, s.device, s.addr, s.words, e.out[:detect.WordSize], -1) {
			return
		}
		s.wordDue = false
	}
	e.askOther(i, s)
	for s.round < standingRounds && now >= s.next && e.askStanding(i, s, now) {
		s.way = 0
		if s.ask++; int(s.ask) == standingAsks*len(detect.All) {
			s.ask, s.next = 0, now.After(standingPause)
			s.round++
		}
	}
}

// standingAsks is the number of questions to a host about one protocol: one at the
// protocol's own port, one at that of a user interface, one at each port where the host
// serves others or sends from, and up to nine at ports where its programs listen.
const standingAsks = 2 + len(standing{}.served) + len(standing{}.sends) + 9

// question returns the protocol and the port of question n. The port is 0 if there is no
// such question.
func (s *standing) question(n int) (protocol int, port uint16) {
	protocol, at := (n+int(s.first))%len(detect.All), n/len(detect.All)
	p := detect.All[protocol]
	meets := s.meets(p)
	switch {
	case at == 0 && p.Quiet:
		return protocol, p.Port
	case at == 1:
		return protocol, p.PanelPort
	case at == 0 || !p.Quiet && p.Hidden == nil && p.Login == nil && !meets:
		return protocol, 0
	case at < 2+len(s.served):
		return protocol, s.served[at-2]
	case at < 2+len(s.served)+len(s.sends):
		return protocol, s.sends[at-2-len(s.served)].port
	case !s.may.several && !meets: // nothing points to this protocol
		return protocol, 0
	}
	if at -= 2 + len(s.served) + len(s.sends); at < len(p.Ports) {
		return protocol, p.Ports[at]
	}
	return protocol, 0
}

// askStanding sends the next question to a host. It returns false if the question has to be
// sent later; a question that cannot be sent at all counts as sent.
func (e *Engine) askStanding(i int, s *standing, now Time) bool {
	protocol, port := s.question(int(s.ask))
	cfg, h := &e.cfg.Protocols[protocol], e.hostAt(&s.addr)
	if port == 0 || !e.any.on.Has(protocol) || !cfg.TCPProbe || e.prober == nil ||
		h != nil && (!h.modes.on.Has(protocol) || e.answeredFor(h, protocol) || e.exempt(&s.addr, &h.via, now)) {
		return true
	}
	for ways := detect.All[protocol].Probes; int(s.way) < len(ways); s.way++ {
		way := &ways[s.way]
		if !way.TCP || way.Hash {
			continue
		}
		n := way.Build(e.out[:], nil, s.salt)
		if n == 0 {
			continue
		}
		id := standingProbe | uint64(i)<<48 | uint64(s.ask)<<32 | uint64(s.salt)
		if !e.prober.ProbeTCP(id, s.device, s.addr, port, e.out[:n], way.Alone) {
			return false
		}
		e.Counters.Probes++
		s.sent++
		s.asked = now
	}
	return true
}

// askedStanding handles the answer of such a host. b is nil if there was no answer. It is
// empty if the host accepted the connection and sent nothing.
func (e *Engine) askedStanding(id uint64, b []byte, now Time) {
	i, ask := int(id>>48&0x3fff), int(id>>32&0xffff)
	words := ask == standingWords
	if i >= len(e.standing) || ask >= standingAsks*len(detect.All) && ask < standingOthers {
		return
	}
	s := &e.standing[i]
	switch {
	case s.until == 0 || s.salt != uint32(id):
		return
	case ask >= standingOthers && !words:
		e.askedOther(s, ask-standingOthers, b, now)
		e.askNext(i, s, now)
		return
	}
	protocol, port := e.quiet(Monitor), uint16(0)
	named := false
	if !words {
		protocol, port = s.question(ask)
	} else if protocol == none || b == nil || detect.All[protocol].Word(e.out[:], int(s.word), s.salt) != (len(b) != 0) {
		s.words = 0
	} else {
		s.word++
		named = s.word == detect.Words
		s.wordDue = !named
	}
	e.askNext(i, s, now) // the prober has room for one more
	if b == nil || protocol == none {
		return
	}
	h, d := e.standingHost(s, now)
	if h == nil || !h.modes.on.Has(protocol) || e.exempt(&s.addr, &h.via, now) {
		return
	}
	p := detect.All[protocol]
	shuts := len(b) == 0 && p.Quiet && port == p.Port
	named = named || port == p.PanelPort && p.Panel != nil && p.Panel(b)
	if e.mayEnd(s, h, protocol) {
		if len(b) == 0 && p.Word != nil && !words && port != p.PanelPort && !s.named && s.words == 0 {
			s.words, s.word, s.wordDue = port, 0, true
		}
		if shuts && !s.sign && h.modes.blocks.Has(protocol) {
			s.silent = now.After(standingSilence)
		}
		if s.named = s.named || named; shuts || named && s.sign {
			e.standingSign(s, h, protocol, now)
		}
	}
	if len(b) != 0 && !named && !words {
		e.proveStanding(s, h, d, protocol, port, b, now)
	}
}

// proveStanding proves the client if b, what came from the host's port, answers a question
// of the protocol.
func (e *Engine) proveStanding(s *standing, h *host, d *Device, protocol int, port uint16, b []byte, now Time) {
	f := &e.finding
	for j := range detect.All[protocol].Probes {
		way := &detect.All[protocol].Probes[j]
		if !way.TCP || way.Hash || !e.tells(protocol, way, nil, b, s.salt, f) {
			continue
		}
		f.Protocol, f.Reason = protocol, detect.ReasonProbe
		x := &h.suspicion
		x.addr, x.device, x.asked = s.addr, s.device, now
		x.tcp.note(port, 1<<protocol)
		if c := e.answeredAsk(h, f, j, port, d, now); c != nil {
			e.ownPort(h, c, port, now)
			e.notePeers(h, c, f, now)
		}
		return
	}
}

// mayEnd reports whether the host has connections with enough addresses for one of them to
// be ended. If the quiet protocol's program was proved there before, one address is enough.
func (e *Engine) mayEnd(s *standing, h *host, quiet int) bool {
	c := e.clientOf(h)
	return s.peers >= standingPeers || s.peers > 0 && c != nil && c.proof != ProofNone && int(c.protocol) == quiet
}

// standingHost returns the host that has the address now, and its device. It adds the host
// if it is new.
func (e *Engine) standingHost(s *standing, now Time) (*host, *Device) {
	d := e.device(s.device)
	if d == nil {
		return nil, nil
	}
	h := e.hostAt(&s.addr)
	if h == nil || h.via.IsZero() { // it has sent nothing yet: only its address is known
		h = e.hostOf(&nfq.Packet{Src: s.addr, MAC: s.mac}, d, now)
	}
	return h, d
}

// standingSign notes that the host has shown a sign of a client. It proves the client if its
// program has said who it is: then that program does use the protocol.
func (e *Engine) standingSign(s *standing, h *host, protocol int, now Time) {
	if !s.sign { // connections that were let go get another look
		s.sign, s.lookDue = true, true
	}
	s.until = now.After(standingMore)
	x := &h.suspicion
	if x.first == 0 {
		x.first = now
	}
	x.last, x.reason, x.protocol, x.addr, x.device = now, detect.ReasonFlow, int8(protocol), s.addr, s.device
	x.sent, x.asked = max(x.sent, s.sent), max(x.asked, s.asked)
	if d := e.device(s.device); s.named && d != nil {
		f := &e.finding
		f.Reset()
		f.Protocol, f.Reason = protocol, detect.ReasonProbe
		e.answeredAsk(h, f, 1, 0, d, now)
	}
}

// watchStanding makes the kernel show what a host sends on its old connections.
func (e *Engine) watchStanding(s *standing, now Time) {
	quiet, hiding := e.quiet(Block), e.hiding(Block)
	reads := hiding != none && s.all > 0
	if s.peers == 0 && !reads || quiet == none && hiding == none {
		return
	}
	h, _ := e.standingHost(s, now)
	if h == nil || !reads && !e.mayEnd(s, h, quiet) || !h.modes.blocks.Has(quiet) && !h.modes.blocks.Has(hiding) || !e.shown(h, &s.addr, now) {
		return
	}
	if !s.watched || s.lookDue {
		s.watched, s.lookDue = true, true
		e.lookAtFlows()
	}
}

// cutStanding cuts the client off from the peers of its old connections: the middle of
// these shows nothing. It does not cut it off from servers: the client's data to them is
// recognised and cut, and shows that it runs.
func (e *Engine) cutStanding(h *host, c *client, protocol int, now Time) {
	s := e.standingOf(&c.addr)
	if s == nil {
		return
	}
	proto := detect.All[protocol]
	if protocol == e.meeting() {
		e.askOthers(&s.addr, now)
	}
	for i := range s.met {
		if a := &s.met[i]; slices.Contains(proto.Ports, a.Port) && proto.Meets(a.Port) {
			p := e.note(h, c, &a.Addr, a.Port, protocol, true, now)
			p.suspect = true
			e.cut(h, c, p, now)
		}
	}
}

// standingOf returns the record for an address, or nil.
func (e *Engine) standingOf(a *nfq.Addr) *standing {
	if !e.stands {
		return nil
	}
	for i := range e.standing {
		if s := &e.standing[i]; s.until != 0 && s.addr == *a {
			return s
		}
	}
	return nil
}

// stood handles what a host sends on a connection whose beginning nobody saw. It returns
// false if the connection is none of its business. A locked client loses the connection,
// unless the data turns out to be something harmless. A suspect that has shown a sign loses
// it once.
func (e *Engine) stood(p *nfq.Packet, h *host, slot int32, now Time) (nfq.Verdict, bool) {
	fl := &e.flows.flows[slot]
	if fl.begun || fl.decided != 0 || service(fl) {
		return 0, false
	}
	protocol := e.quiet(Mark)
	if protocol == none || !h.modes.holds.Has(protocol) {
		return 0, false
	}
	c := e.clientOf(h)
	locked := c != nil && c.locked && c.proved.Has(protocol)
	s := e.standingOf(&fl.key.lan)
	if !locked && (s == nil || h.marks(protocol) || c != nil && c.selective) {
		return 0, false // a client of another protocol is handled by unclaimed
	}
	key := &fl.key
	if e.servesAt(h, key) { // somebody outside uses it
		return 0, false
	}
	switch e.judgement(h, fl, now) {
	case unknown, peers:
	case ended:
		if !locked {
			return 0, false
		}
	default:
		return 0, false
	}
	look, read := e.readMiddle(p, fl, now)
	signed := locked || s.sign
	if !signed && read && look != detect.No && e.sameToSeveral(s, h, protocol, slot, p, now) {
		signed = true
		if look == detect.Yes && !h.forgets(now) {
			e.endSame(s, h, protocol, now)
			return nfq.Drop, true
		}
	}
	switch {
	case look == detect.No, fl.segments >= standingSegments:
		return 0, false
	case look == detect.More, !signed, !locked && h.forgets(now): // with many connections, this one may have begun a moment ago
		return nfq.Accept, true
	}
	if locked {
		fl.fate, fl.protocol = cut, uint8(protocol)
		e.Counters.Cuts++
		e.note(h, c, &key.wan, key.wport, protocol, true, now)
		if h.marks(protocol) {
			return e.mark(), true
		}
		return e.refuse(p, c), true
	}
	e.endStanding(h, fl, protocol, p, now)
	return nfq.Drop, true
}

// readMiddle reads a segment of a connection whose beginning nobody saw, if it begins a
// message. It reports whether it did, and whether what was read so far is encrypted and fits
// no known protocol. look is No if it shows something harmless.
func (e *Engine) readMiddle(p *nfq.Packet, fl *flow, now Time) (look detect.Match, read bool) {
	m := &fl.mid
	if fl.segments == 0 && e.shownFor(&fl.key.lan, now) > Time(standingWait) {
		m.Begins()
	}
	var b []byte
	if read = m.Reads(p.Payload, p.PayloadLen, p.TCPFlags&nfq.PSH != 0); read {
		b = p.Payload
		fl.nsaid += uint8(copy(fl.said[fl.nsaid:], b))
	}
	if m.Harmless(b) {
		return detect.No, read
	}
	if fl.segments++; read {
		return m.Unknown(fl.said[:fl.nsaid]), true
	}
	return detect.More, false
}

// shownFor returns how long the kernel has shown what the address sends; 0 if it does not.
func (e *Engine) shownFor(addr *nfq.Addr, now Time) Time {
	a := e.addrIndex.Get(addr, e.hash.addr(addr))
	if a == none || now >= e.addrs[a].watchUntil {
		return 0
	}
	return now - e.addrs[a].watchFrom
}

// sameToSeveral notes a segment of a connection, and reports whether the host has sent to
// several addresses, and to several ports, segments of that length and no others at about
// the same time.
func (e *Engine) sameToSeveral(s *standing, h *host, protocol int, slot int32, p *nfq.Packet, now Time) bool {
	length := len(p.Payload)
	if length < sameBytes || s.peers < sameTo {
		return false
	}
	x := sameSegment{now, e.hash.addr(&p.Dst), slot, p.Ack, p.DstPort, uint16(length)}
	place := 0
	for i := range s.same {
		o := &s.same[i]
		if o.to == x.to && o.when != 0 {
			place = i
			break
		}
		if o.when < s.same[place].when {
			place = i
		}
	}
	s.same[place] = x
	n, others, ports := 0, 0, 0
	for i := range s.same {
		o := &s.same[i]
		switch {
		case !o.recent(now):
			continue
		case o.length != x.length:
			others++
			continue
		}
		n++
		if !slices.ContainsFunc(s.same[:i], func(y sameSegment) bool {
			return y.port == o.port && y.length == o.length && y.recent(now)
		}) {
			ports++
		}
	}
	if n < sameTo || ports < samePorts || others*4 > n {
		return false
	}
	first := s.searched == 0 || now.Since(s.searched) <= sameTime
	if s.searched == 0 || !first {
		s.searched = now
	}
	if first && n < sameSure {
		return false
	}
	e.standingSign(s, h, protocol, now)
	return true
}

// recent reports whether the segment was sent within sameTime.
func (x *sameSegment) recent(now Time) bool { return x.when != 0 && now.Since(x.when) <= sameTime }

// endSame ends the connections in which a host has just sent a search. Otherwise they would
// last until it sends the next.
func (e *Engine) endSame(s *standing, h *host, protocol int, now Time) {
	for i := range s.same {
		o := &s.same[i]
		if !o.recent(now) {
			continue
		}
		fl := &e.flows.flows[o.slot]
		if fl.owner != h.slot || fl.fate != open || e.hash.addr(&fl.key.wan) != o.to || fl.key.lan != s.addr ||
			fl.key.wport != o.port || fl.spent || fl.mid.Unknown(fl.said[:fl.nsaid]) != detect.Yes {
			continue
		}
		p := nfq.Packet{
			Version: 4, Proto: nfq.ProtoTCP, TCPFlags: nfq.ACK, InDev: s.device, Ack: o.ack,
			Src: fl.key.lan, Dst: fl.key.wan, SrcPort: fl.key.lport, DstPort: fl.key.wport,
		}
		if !s.addr.Is4() {
			p.Version = 6
		}
		e.endStanding(h, fl, protocol, &p, now)
	}
}

// stir sends the host a byte on each old connection in which it has said nothing since the
// start, with a number from long ago: one of two numbers that far apart is one. The host
// acknowledges the byte once more and keeps the connection. A connection that says nothing
// can only be ended with what this acknowledgement tells. Nor can the engine say something in
// a server's name before it knows what the host has received there: if the protocol has
// servers, only connections to them are stirred. The kernel does not show the
// acknowledgement of a connection that was let go.
func (e *Engine) stir(s *standing, protocol int, now Time) {
	s.stirred, s.stirring = now, int8(protocol)
	p := nfq.Packet{Version: 4, Proto: nfq.ProtoTCP, TCPFlags: nfq.ACK, InDev: s.device, Src: s.addr}
	if !s.addr.Is4() {
		p.Version = 6
	}
	proto := detect.All[protocol]
	for i := range s.open {
		c := &s.open[i]
		key := s.flow(c)
		switch {
		case proto.Servers == nil && c.To.Port < private, proto.Servers != nil && !s.toServer(i, proto):
			continue
		case e.sender == nil || e.flows.get(&key, e.hash.flow(&key)) != none:
			*c = nfq.Conn{}
			continue
		}
		p.Dst, p.SrcPort, p.DstPort = c.To.Addr, c.Port, c.To.Port
		for _, p.Ack = range [...]uint32{0, 1 << 31} {
			if err := e.sender.Answer(&p, e.out[:1]); err != nil {
				e.Counters.SendErrors++
			}
		}
	}
}

// flow is the key of one of the host's old connections.
func (s *standing) flow(c *nfq.Conn) flowKey {
	return flowKey{lan: s.addr, wan: c.To.Addr, lport: c.Port, wport: c.To.Port}
}

// connection returns the index of an old connection by the host's own port and the other
// side, or -1. It is not inlined, which would cost 0.4 KB of flash.
//
//go:noinline
func (s *standing) connection(own uint16, wan *nfq.Addr, port uint16) int {
	return slices.Index(s.open, nfq.Conn{Port: own, To: nfq.AddrPort{Addr: *wan, Port: port}})
}

// woken handles the host's acknowledgement p of a connection that was stirred a moment ago:
// the connection is ended, once. If it seems to be a server's, the host is asked there first.
func (e *Engine) woken(p *nfq.Packet, h *host, now Time) nfq.Verdict {
	s := e.standingOf(&p.Src)
	if s == nil || s.stirred == 0 || now.Since(s.stirred) > standingTick || !h.modes.blocks.Has(int(s.stirring)) {
		return nfq.Accept
	}
	i := s.connection(p.SrcPort, &p.Dst, p.DstPort)
	if i < 0 {
		return nfq.Accept
	}
	key, protocol := keyOf(p), int(s.stirring)
	slot := e.newFlow(&key, e.hash.flow(&key), h)
	fl := &e.flows.flows[slot]
	fl.protocol = uint8(protocol)
	j := e.judgement(h, fl, now)
	asks := detect.All[protocol].Login != nil
	switch {
	case asks && s.toServer(i, detect.All[protocol]) && e.loginAgain(p, slot, now):
		fl.fate = cut
		return nfq.Drop
	case asks, j != unknown && j != peers:
		e.endFlowAt(slot)
		return nfq.Accept
	}
	e.endStanding(h, fl, protocol, p, now)
	return nfq.Drop
}

// endStanding ends a connection of a suspect once.
func (e *Engine) endStanding(h *host, fl *flow, protocol int, p *nfq.Packet, now Time) {
	fl.fate, fl.protocol = cut, uint8(protocol)
	e.Counters.Cuts++
	e.judge(h, fl, ended, now)
	e.reset(p)
	e.tellCut(h, nil, &fl.key, true, protocol, detect.ReasonFlow)
}
