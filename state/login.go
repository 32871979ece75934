// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"math/rand/v2"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// A session with a server is cut when a protocol was recognised in it. Before that, the
// engine answers it in the server's name: only a client sends what follows (see
// detect.Login). So even a client with a single server is proved, by its first session.
//
// In a session from before the engine's start, the engine says something in the server's
// name as soon as the host itself has said something that shows the protocol: there, or to
// another client.

// login is the progress of such a session.
type login uint8

const (
	loginNone  login = iota
	loginDue         // it will be answered when the host sends its data again
	loginAsked       // the engine answered it
	loginKnown       // the host's reaction proved a client; more may come
	loginOver
)

// loginTries is how many segments may follow the answer before the session ends.
const loginTries = 8

// loginWaits is how often the host's data is dropped before the engine can answer. The host
// sends it again after 0.2 s, and then after twice as long each time.
const loginWaits = 5

// mayLogin reports whether the engine may answer the session. A protocol was just
// recognised in it.
func (e *Engine) mayLogin(h *host, fl *flow) bool {
	c := e.clientOf(h)
	l := detect.All[fl.protocol].Login
	return l != nil && (fl.begun || l.Again != nil && e.standingOf(&fl.key.lan) != nil && !e.servesAt(h, &fl.key)) &&
		fl.fate == cut && fl.login == loginNone &&
		e.sets != nil && e.sender != nil && (c == nil || !c.proved.Has(int(fl.protocol)))
}

// login answers a session in the server's name, if possible. The packet is dropped in
// either case.
func (e *Engine) login(p *nfq.Packet, h *host, slot int32, now Time) nfq.Verdict {
	fl, c := &e.flows.flows[slot], e.clientOf(h)
	if !fl.begun {
		e.askOthers(&fl.key.lan, now)
		if e.loginAgain(p, slot, now) {
			return c.drop(p)
		}
		fl.login = loginOver
		if e.cfg.Action != Reset {
			e.reset(p) // it connects again, and that shows that it still runs
		}
		e.stir(e.standingOf(&fl.key.lan), int(fl.protocol), now)
		return e.refuse(p, c)
	}
	// If some of the host's data has passed already, the server is answering it. That
	// answer has to arrive first.
	if !e.shown(h, &fl.key.lan, now) || p.Seq != fl.stream.Began() && fl.waits == 0 {
		// The host will send it again. Then the engine can answer.
		if fl.login = loginDue; fl.waits < loginWaits {
			fl.waits++
			return c.drop(p)
		}
		fl.login = loginOver
		e.reset(p)
		return e.refuse(p, c)
	}
	salt := rand.Uint32() // nobody can guess it
	n := detect.All[fl.protocol].Login.Answer(e.out[:], p.Payload, salt)
	if fl.login = loginOver; !e.answerLogin(p, slot, n, salt, now) {
		return e.refuse(p, c)
	}
	return c.drop(p)
}

// answerLogin sends the answer of length n. It returns false if there is none.
func (e *Engine) answerLogin(p *nfq.Packet, slot int32, n int, salt uint32, now Time) bool {
	if n == 0 {
		return false
	}
	if err := e.sender.Answer(p, e.out[:n]); err != nil {
		e.Counters.SendErrors++
		return false
	}
	fl := &e.flows.flows[slot]
	e.Counters.Handshakes++
	fl.login, fl.salt, fl.heard, fl.tries, fl.spent, fl.dev = loginAsked, salt, p.Ack+uint32(n), 0, true, p.InDev
	e.wheel.Set(e.timerOf(slot), now.After(handshakeTime))
	return true
}

// loginAgain says something in the server's name in the middle of a session, where that says
// something else than another client would. p is what the host sent there last.
func (e *Engine) loginAgain(p *nfq.Packet, slot int32, now Time) bool {
	fl, salt := &e.flows.flows[slot], rand.Uint32() // nobody can guess it
	return e.answerLogin(p, slot, detect.All[fl.protocol].Login.Again(e.out[:], p.Payload, salt), salt, now)
}

// loggedIn handles further data of a session that was answered, or will be.
func (e *Engine) loggedIn(p *nfq.Packet, h *host, slot int32, now Time) nfq.Verdict {
	fl, c := &e.flows.flows[slot], e.clientOf(h)
	switch {
	case fl.login == loginDue:
		return e.login(p, h, slot, now)
	case p.Ack != fl.heard:
		// The host sent it before the answer arrived.
		return c.drop(p)
	}
	f := &e.finding
	f.Reset()
	m := detect.All[fl.protocol].Login.Told(p.Payload, fl.salt, f)
	if !fl.begun && m == detect.Hint { // it may have said that by itself
		m = detect.No
	}
	if d := e.device(fl.dev); c == nil && m == detect.Yes && d != nil { // others had said what led to the question
		c = e.enter(h, int(fl.protocol), detect.ReasonHandshake, &fl.key.lan, d, now)
	}
	if c != nil && (m == detect.Yes || m == detect.Hint) {
		fl.login = loginKnown
		f.Protocol = int(fl.protocol)
		c.learn(f)
		if f.TCPPort != 0 {
			e.ownPort(h, c, f.TCPPort, now)
		}
	}
	if fl.tries++; m == detect.Yes || fl.tries >= loginTries {
		e.endLogin(p, h, slot, now)
	} else if err := e.sender.Answer(p, nil); err != nil { // the host sends on after this acknowledgement
		e.Counters.SendErrors++
	}
	return c.drop(p)
}

// endLogin ends a session that was answered, and draws the conclusion.
func (e *Engine) endLogin(p *nfq.Packet, h *host, slot int32, now Time) {
	fl, c := &e.flows.flows[slot], e.clientOf(h)
	known := fl.login == loginKnown
	fl.login = loginOver
	e.wheel.Stop(e.timerOf(slot))
	e.reset(p) // its server knows nothing of the answer
	if c == nil || !known || !h.modes.on.Has(int(fl.protocol)) {
		return
	}
	e.Counters.Answers++
	c.lastAnswer = now
	e.prove(h.client, c, int(fl.protocol), ProofAnswer, detect.ReasonHandshake, [2]nfq.Flow{}, now)
}
