// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"math/rand/v2"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// First data that looks random may belong to an encrypted session between peers, to a
// tunnel or to a proxy. The engine answers it in the destination's name: only a client then
// sends the proof (see detect.Handshake). Either way the connection is lost. So each
// address is asked only once, and the engine remembers the result.

const (
	// maxJudged is how many places are remembered.
	maxJudged = 512
	// judgedTime is how long they are remembered.
	judgedTime = 24 * time.Hour
	// handshakeTime is how long a client may take to send the proof. After that, the place
	// counts as another program's.
	handshakeTime = 2 * time.Second
	// handshakeTries is how many other segments may follow the answer before the proof.
	handshakeTries = 2
	// handshakeLater is how many further segments are searched for a handshake in clear:
	// the encrypted handshake may agree to go on in clear.
	handshakeLater = 8
	// middleMost is how many segments that look like a client's may pass in the middle of a
	// connection with a well-known service.
	middleMost = 200
	// middleWait is how long the kernel must have shown a host's data before a connection's
	// first segment here counts as the beginning of a message.
	middleWait = 700 * time.Millisecond
	// shapedAgain is how soon a connection that was ended only for its look may be opened
	// again to count as another program's.
	shapedAgain = 20 * time.Second
	// handshakeWaits is how often the first data of a connection is dropped before the
	// engine can ask. The host sends it again after 0.2 s or more.
	handshakeWaits = 2
)

// handshakePauses are the shortest times between two such questions to a host without
// proof. The index is how many questions in a row hit another program's connection.
var handshakePauses = [...]time.Duration{10 * time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}

// hiddenLast is a connection that looked random: its time, and a hash of its address.
type hiddenLast struct {
	when Time
	to   uint32
}

// place is an outside address and port as one host knows it: host is that host's hash. So a
// host learns nothing about the places of another. Behind a proxy, the final destination is
// part of host, too.
type place struct {
	addr nfq.Addr
	port uint16
	host uint32
}

// judged is what is known about a place.
type judged struct {
	when Time
	what judgement
}

type judgement uint8

const (
	unknown    judgement = iota
	asking               // the engine answered a connection to it in its name
	peers                // a client's connections go there
	innocent             // another program's connections go there; they look random, too
	other                // another program's connections go there; they do not look random
	ended                // the engine ended an old connection once, to see how the next one begins
	stopped              // it ended an old connection that looked like a client's; it asks the next one
	judgements           // the number of judgements
)

// judgedTable keeps the places used last.
type judgedTable struct {
	table.Recent[place]
	judged []judged // by slot
}

func newJudgedTable() judgedTable {
	return judgedTable{table.NewRecent[place](maxJudged), make([]judged, maxJudged)}
}

// placeOf returns the place that a connection of the host goes to.
func (e *Engine) placeOf(h *host, fl *flow) (place, uint32) {
	p := place{fl.key.wan, fl.key.wport, h.hash ^ fl.stream.Inner()}
	return p, e.hashPlace(&p)
}

func (e *Engine) hashPlace(p *place) uint32 {
	return finish(word(e.hash.addr(&p.addr)^p.host, uint32(p.port)))
}

// by returns the judgement that holds at a moment.
func (j *judged) by(now Time) judgement {
	switch age := now.Since(j.when); {
	case age > judgedTime:
		return unknown
	case j.what == asking && age > handshakeTime:
		return innocent
	}
	return j.what
}

// judgement returns what is known about the destination of a connection.
func (e *Engine) judgement(h *host, fl *flow, now Time) judgement {
	k, hash := e.placeOf(h, fl)
	slot := e.judged.Get(&k, hash)
	if slot == none {
		return unknown
	}
	e.judged.Touch(slot)
	return e.judged.judged[slot].by(now)
}

// judge records it.
func (e *Engine) judge(h *host, fl *flow, what judgement, now Time) {
	k, hash := e.placeOf(h, fl)
	slot, _ := e.judged.Take(&k, hash)
	e.judged.judged[slot] = judged{now, what}
}

// hides returns the protocol whose encrypted sessions may begin with b, the first data of a
// connection, or none.
func (e *Engine) hides(h *host, fl *flow, b []byte) int {
	if fl.stream.HTTP() {
		return none
	}
	on, c, found := e.streams&h.modes.on, e.clientOf(h), none
	for i, p := range detect.All {
		if p.Hidden == nil || !on.Has(i) {
			continue
		}
		first := p.Hidden.First(b)
		switch {
		case c != nil && c.locked && c.proved.Has(i) && (first || p.Hidden.Shaped != nil && p.Hidden.Shaped(b)):
			return i
		case first && (found == none || p.Hidden.Alone):
			found = i
		}
	}
	return found
}

// hidden handles first data that may begin an encrypted session. A locked client loses the
// connection, unless its destination is known to be something else. A host that was proved
// before, for a protocol with such sessions, is asked at once. Any other host is asked when
// it has such connections with several addresses. At the ports of well-known services a
// client counts as any other host, until one of its peers was found there.
func (e *Engine) hidden(p *nfq.Packet, d *Device, h *host, slot int32, protocol int, now Time) nfq.Verdict {
	fl := &e.flows.flows[slot]
	cfg := &e.cfg.Protocols[protocol]
	c := e.clientOf(h)
	proved := c != nil && c.proof != ProofNone && (!service(fl) || c.disguised != 0)
	sure := proved && c.locked && c.proved.Has(protocol)
	proved = sure || proved && detect.All[c.protocol].Hidden != nil
	j := e.judgement(h, fl, now)
	fl.protocol = uint8(protocol)
	switch {
	case h.marks(protocol) && j != innocent: // a question would cost it the connection
		if sure {
			return e.markHidden(h, fl, now)
		}
		return e.lookLater(slot)
	case !h.modes.blocks.Has(protocol), j == innocent:
		return e.letGo(slot)
	case sure && !detect.All[protocol].Hidden.First(p.Payload):
		if j == other { // a service's first messages may look random now and then
			return e.letGo(slot)
		}
		return e.shaped(p, h, slot, now)
	case j == asking && sure:
		return c.drop(p) // it will be sent again, and then the result is known
	case j == peers && (sure || e.sets == nil):
		// It behaves as clients do, at an address where a client's connections go.
		if c = e.enter(h, protocol, detect.ReasonEncrypted, &fl.key.lan, d, now); c != nil {
			e.conduct(h, c, protocol, detect.ReasonEncrypted, &fl.key.wan, fl.stream.Inner(), nfq.Flow{}, now)
		}
	case j == asking, j == ended && !proved, j != peers && !proved && !e.mayAskFirst(h, fl, protocol, now):
		return e.lookLater(slot)
	case e.sets != nil && !e.shown(h, &fl.key.lan, now):
		// The host will send it again. Then the engine can ask.
		if fl.waits++; sure || fl.waits <= handshakeWaits {
			return c.drop(p)
		}
		return e.lookLater(slot)
	case e.answerHandshake(p, fl, protocol):
		e.judge(h, fl, asking, now)
		fl.fate, fl.dev = asked, p.InDev
		if !sure {
			h.suspicion.handshakeAt = now
		}
		e.wheel.Set(e.timerOf(slot), now.After(handshakeTime))
		return c.drop(p)
	case !sure: // the engine cannot ask
		return e.lookLater(slot)
	}
	fl.fate = cut
	e.Counters.Cuts++
	if cfg.ResetEncrypted && e.cfg.Action != Reset {
		e.reset(p)
	}
	return e.refuse(p, c)
}

// markHidden marks a connection of a locked client that looks like one of its encrypted
// sessions. Its destination becomes a peer, so that the next connection there is marked
// from the first packet.
func (e *Engine) markHidden(h *host, fl *flow, now Time) nfq.Verdict {
	fl.fate = cut
	e.Counters.Cuts++
	if fl.begun && fl.stream.Inner() == 0 {
		e.note(h, e.clientOf(h), &fl.key.wan, fl.key.wport, int(fl.protocol), false, now)
	}
	return e.mark()
}

// shaped handles first data of a locked client that looks like a session that cannot be
// asked. It ends the connection. A program that opens it again at once is not the client:
// the client would try other peers first.
func (e *Engine) shaped(p *nfq.Packet, h *host, slot int32, now Time) nfq.Verdict {
	fl := &e.flows.flows[slot]
	k, hash := e.placeOf(h, fl)
	place, _ := e.judged.Take(&k, hash)
	x := &e.judged.judged[place]
	if x.what == ended && now.Since(x.when) < shapedAgain {
		*x = judged{now, innocent}
		return e.letGo(slot)
	}
	*x = judged{now, ended}
	fl.fate = cut
	e.Counters.Cuts++
	if e.cfg.Action != Reset {
		e.reset(p)
	}
	return e.refuse(p, e.clientOf(h))
}

// service reports whether a connection goes to a well-known service's port, directly or
// through a proxy. Such services may send random data, too.
func service(fl *flow) bool {
	port := fl.key.wport
	if fl.stream.Inner() != 0 {
		port = fl.stream.InnerPort()
	}
	return port < private || detect.WellKnown(nfq.ProtoTCP, port)
}

// letGo accepts a connection that is not a client's.
func (e *Engine) letGo(slot int32) nfq.Verdict {
	fl := &e.flows.flows[slot]
	if s := e.hosts[fl.owner].attempt(&fl.key); s != nil {
		s.decided = e.now // what arrives here later is from its middle
	}
	e.endFlowAt(slot)
	return nfq.AcceptDecided
}

// lookLater accepts first data that looks random, and keeps reading for some segments.
func (e *Engine) lookLater(slot int32) nfq.Verdict {
	fl := &e.flows.flows[slot]
	fl.later = handshakeLater
	if s := e.hosts[fl.owner].attempt(&fl.key); s != nil {
		s.decided, s.hidden = e.now, true
	}
	return nfq.Accept
}

// readLater looks for a handshake in clear at the beginning of a segment.
func (e *Engine) readLater(p *nfq.Packet, d *Device, h *host, slot int32, now Time) nfq.Verdict {
	fl := &e.flows.flows[slot]
	if c := e.clientOf(h); c != nil && c.selective {
		fl.later, fl.begun = 0, false // the segment is from its middle by now
		return e.unclaimed(p, d, h, slot, now)
	}
	f := &e.finding
	f.Reset()
	e.stream.Reset()
	if e.stream.Feed(e.streams&h.modes.on, p.Seq, p.Payload, true, f) != detect.Yes || !f.Conduct || !e.stream.Sure() {
		if fl.later--; fl.later == 0 {
			return e.letGo(slot)
		}
		return nfq.Accept
	}
	fl.later, fl.sure = 0, true
	e.claim(h, fl, f)
	e.session(d, h, fl, now)
	if fl.fate == cut && h.marks(int(fl.protocol)) {
		return e.mark()
	}
	if fl.fate == cut {
		return e.refuse(p, e.clientOf(h))
	}
	return e.letGo(slot)
}

// mayAsk reports whether a connection that looks random may be asked or reset, although
// nothing shows yet that it is a client's. The host must have such connections with two
// addresses of one family: a single server may have one address of each family. Old
// connections count, too. Another program loses the connection that is asked. So the more
// often other programs were hit on a host, the longer is the pause.
func (e *Engine) mayAsk(h *host, fl *flow, now Time) bool {
	s, k := &h.suspicion, &fl.key
	kind := 0
	if service(fl) {
		kind++
	}
	if k.wan.Is4() {
		kind += 2
	}
	last, x := &s.hidden[kind], e.hash.addr(&k.wan)^fl.stream.Inner()
	due := e.mayAskNow(h, now)
	if due && e.sets != nil {
		e.shown(h, &k.lan, now) // in time for its next connection
	}
	if last.when == 0 || now.Since(last.when) > conductTime || last.to == x {
		*last = hiddenLast{now, x}
		return due && s.ran != 0 && now.Since(s.ran) < standingMore
	}
	return due
}

// mayAskFirst is mayAsk for first data. If few other programs begin this way, one address is
// enough.
func (e *Engine) mayAskFirst(h *host, fl *flow, protocol int, now Time) bool {
	if may := e.mayAsk(h, fl, now); may || !detect.All[protocol].Hidden.Alone || service(fl) {
		return may
	}
	return e.mayAskNow(h, now)
}

// mayAskNow reports whether the pause since the host's last such question is over.
func (e *Engine) mayAskNow(h *host, now Time) bool {
	s := &h.suspicion
	if now.Since(s.handshakeAt) > judgedTime {
		s.innocents = 0
	}
	return s.handshakeAt == 0 || now.Since(s.handshakeAt) >= handshakePauses[min(int(s.innocents), len(handshakePauses)-1)]
}

// answerHandshake answers first data in the peer's name. It returns false when it could
// not.
func (e *Engine) answerHandshake(p *nfq.Packet, fl *flow, protocol int) bool {
	hand := detect.All[protocol].Hidden
	salt := rand.Uint32() // nobody can guess it
	if e.sender == nil || e.sets == nil || hand.Answer == nil || !hand.Proof(p.Payload, salt, &fl.proof) {
		return false
	}
	n := hand.Answer(e.out[:], p.Payload, salt)
	if n == 0 {
		return false
	}
	fl.heard, fl.tries, fl.spent = p.Ack+uint32(n), 0, true
	if err := e.sender.Answer(p, e.out[:n]); err != nil {
		e.Counters.SendErrors++
		return false
	}
	e.Counters.Handshakes++
	return true
}

// answeredHandshake handles further data in a connection that the engine has answered.
func (e *Engine) answeredHandshake(p *nfq.Packet, d *Device, h *host, slot int32, now Time) nfq.Verdict {
	fl := &e.flows.flows[slot]
	protocol := int(fl.protocol)
	if !detect.All[protocol].Hidden.Proved(p.Payload, &fl.proof) {
		// Data from before the answer arrived is the rest of its first message.
		if p.Ack == fl.heard {
			if fl.tries++; fl.tries > handshakeTries {
				e.provedInnocent(p, h, fl, now)
			}
		}
		return e.clientOf(h).drop(p)
	}
	fl.fate = cut
	e.judge(h, fl, peers, now)
	e.reset(p) // peer and host no longer agree about it
	h.suspicion.innocents = 0
	c := e.enter(h, protocol, detect.ReasonHandshake, &fl.key.lan, d, now)
	if c == nil {
		return nfq.Drop
	}
	if c.toldPeer.Addr.IsZero() {
		c.toldPeer = nfq.AddrPort{Addr: fl.key.wan, Port: fl.key.wport}
	}
	if c.askedAt.IsZero() {
		c.askedAt = fl.key.lan
	}
	if fl.stream.Inner() == 0 { // a proxy is no peer
		e.note(h, c, &fl.key.wan, fl.key.wport, protocol, false, now)
	}
	e.Counters.Answers++
	c.lastAnswer = now
	e.prove(h.client, c, protocol, ProofAnswer, detect.ReasonHandshake, [2]nfq.Flow{}, now)
	if service(fl) {
		e.disguise(c, fl)
	}
	return c.drop(p)
}

// disguise notes that the client has a peer at the port of a well-known service. So more of
// its connections may belong to the client although they look like a service's.
func (e *Engine) disguise(c *client, fl *flow) {
	first := c.disguised == 0
	c.disguised = fl.key.wport
	if first && c.locked {
		e.lookAnew(c)
	}
}

// provedInnocent notes that an answered connection is not a client's. It resets the
// connection, so that the program connects again at once.
func (e *Engine) provedInnocent(p *nfq.Packet, h *host, fl *flow, now Time) {
	fl.fate = cut
	e.judge(h, fl, innocent, now)
	h.suspicion.innocents = min(h.suspicion.innocents+1, uint8(len(handshakePauses)))
	e.reset(p)
}

// timerOf returns the number of a connection's timer.
func (e *Engine) timerOf(slot int32) int32 { return int32(len(e.clients)) + slot }

// silent handles an answered connection in which no data followed. Its program waits for an
// answer that never comes. The reset makes it connect again.
func (e *Engine) silent(slot int32, now Time) {
	fl := &e.flows.flows[slot]
	session := fl.login == loginAsked || fl.login == loginKnown
	if fl.fate != asked && !session {
		return
	}
	k := &fl.key
	p := nfq.Packet{
		Version: 4, Proto: nfq.ProtoTCP, TCPFlags: nfq.ACK, InDev: fl.dev, Ack: fl.heard,
		Src: k.lan, Dst: k.wan, SrcPort: k.lport, DstPort: k.wport,
	}
	if !k.lan.Is4() {
		p.Version = 6
	}
	if session {
		e.endLogin(&p, &e.hosts[fl.owner], slot, now)
		return
	}
	e.provedInnocent(&p, &e.hosts[fl.owner], fl, now)
}

// End resets the connections that the engine has answered in their peers' names. It is for
// an engine that is about to end: nobody else knows them, and their programs would wait long.
func (e *Engine) End(now Time) {
	e.now = now
	for i := range e.flows.flows {
		e.silent(int32(i), now)
	}
}

// bare decides about a LAN host's segment without data. The rules queue such a segment only
// if connection tracking cannot place it. A segment of a connection that was answered in
// its peer's name must not reach that peer.
func (e *Engine) bare(p *nfq.Packet, h *host, now Time) nfq.Verdict {
	key := keyOf(p)
	slot := e.flows.get(&key, e.hash.flow(&key))
	if slot == none {
		return e.woken(p, h, now)
	}
	fl := &e.flows.flows[slot]
	if !fl.spent {
		return nfq.Accept
	}
	if fl.fate == asked && p.TCPFlags&(nfq.FIN|nfq.RST) != 0 && p.Ack == fl.heard {
		e.provedInnocent(p, h, fl, now) // it closes the connection; a client would have gone on
	}
	return nfq.Drop
}

// inMiddle reads data of an older connection of a locked host, and reports whether it is a
// session between peers.
func (e *Engine) inMiddle(c *client, fl *flow, b []byte, ends bool, now Time) detect.Match {
	if e.shownFor(&fl.key.lan, now) > Time(middleWait) && now.Since(c.lookedAnew) > middleWait {
		fl.middle.Begins()
	}
	found, before := detect.No, fl.middle
	for i, p := range detect.All {
		if !c.proved.Has(i) || !e.streams.Has(i) {
			continue
		}
		if p.Middle != nil && p.Middle(b) {
			fl.protocol, fl.middle.Sure = uint8(i), true
			return detect.Yes
		}
		if p.Hidden == nil {
			continue
		}
		fl.middle = before // each protocol reads b once
		switch m := p.Hidden.Middle(&fl.middle, b, ends); {
		case m == detect.Yes, m == detect.More && fl.middle.May && usual(fl, p), fl.middle.First && fl.key.wport == c.disguised:
			fl.protocol = uint8(i)
			return detect.Yes
		case m == detect.More:
			found = m
		}
	}
	return found
}

// reset ends a connection: it sends a reset to the LAN host that sent p.
func (e *Engine) reset(p *nfq.Packet) {
	if e.sender == nil {
		return
	}
	if err := e.sender.Reset(p); err != nil {
		e.Counters.SendErrors++
	}
}
