// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"math/rand/v2"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// A session with a server in which a protocol was recognised is not to go on. Before it ends it
// is answered in the server's name: only a client says what follows (see detect.Login). So one
// that has a single server is proved as well, by its first session.

// login is what is known of such a session.
type login uint8

const (
	loginNone  login = iota
	loginDue         // it is answered when its words are sent again
	loginAsked       // it was answered
	loginKnown       // what came since is a client's, and may go on
	loginOver
)

// loginTries is how many segments may come after the answer until the proof.
const loginTries = 8

// loginWaits is how often the words are dropped until they can be answered. They are sent again
// after 0.2 s, and then after twice that each time.
const loginWaits = 5

// mayLogin reports whether the session, in which a protocol was recognised just now, is to be
// answered.
func (e *Engine) mayLogin(h *host, fl *flow) bool {
	c := e.clientOf(h)
	return detect.All[fl.protocol].Login != nil && fl.begun && fl.fate == cut && fl.login == loginNone &&
		e.sets != nil && e.sender != nil && (c == nil || !c.proved.Has(int(fl.protocol)))
}

// login answers a session in its server's name, if that can be done. What it is answered to
// goes no further in either case.
func (e *Engine) login(p *nfq.Packet, h *host, slot int32, now Time) nfq.Verdict {
	fl, c := &e.flows.flows[slot], e.clientOf(h)
	// Where some of its words have passed already, the server has an answer under way, which
	// has to be there first.
	if !e.shown(h, &fl.key.lan, now) || p.Seq != fl.stream.Began() && fl.waits == 0 {
		// When it is sent again, it can be answered.
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
	fl.login = loginOver
	if n == 0 {
		return e.refuse(p, c)
	}
	if err := e.sender.Answer(p, e.out[:n]); err != nil {
		e.Counters.SendErrors++
		return e.refuse(p, c)
	}
	e.Counters.Handshakes++
	fl.login, fl.salt, fl.heard, fl.tries, fl.spent, fl.dev = loginAsked, salt, p.Ack+uint32(n), 0, true, p.InDev
	e.wheel.Set(e.timerOf(slot), now.After(handshakeTime))
	return c.drop(p)
}

// loggedIn deals with data that follows in a session that was answered, or is about to be.
func (e *Engine) loggedIn(p *nfq.Packet, h *host, slot int32, now Time) nfq.Verdict {
	fl, c := &e.flows.flows[slot], e.clientOf(h)
	switch {
	case fl.login == loginDue:
		return e.login(p, h, slot, now)
	case c == nil || p.Ack != fl.heard:
		// It was sent before the answer came.
		return c.drop(p)
	}
	f := &e.finding
	f.Reset()
	m := detect.All[fl.protocol].Login.Told(p.Payload, fl.salt, f)
	if m == detect.Yes || m == detect.Hint {
		fl.login = loginKnown
		f.Protocol = int(fl.protocol)
		c.learn(f)
		if f.TCPPort != 0 {
			e.ownPort(h, c, f.TCPPort, now)
		}
	}
	if fl.tries++; m == detect.Yes || fl.tries >= loginTries {
		e.endLogin(p, h, slot, now)
	} else if err := e.sender.Answer(p, nil); err != nil { // it goes on when that has come
		e.Counters.SendErrors++
	}
	return c.drop(p)
}

// endLogin ends a session that was answered, with what came of it.
func (e *Engine) endLogin(p *nfq.Packet, h *host, slot int32, now Time) {
	fl, c := &e.flows.flows[slot], e.clientOf(h)
	known := fl.login == loginKnown
	fl.login = loginOver
	e.wheel.Stop(e.timerOf(slot))
	e.reset(p) // its server knows nothing of what was said
	if c == nil || !known || !h.modes.on.Has(int(fl.protocol)) {
		return
	}
	e.Counters.Answers++
	c.lastAnswer = now
	e.prove(h.client, c, int(fl.protocol), ProofAnswer, detect.ReasonHandshake, [2]nfq.Flow{}, now)
}
