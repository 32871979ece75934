// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// A client of Direct Connect may have asked for all of a file before the wall started. Then
// neither side says anything in that connection but the file, and within TLS not even that can
// be read. But who has the file listens where the host has connected to, and answers another
// client there. So the engine asks the other ends of the host's old connections, once, if
// something points to such a client: it has a connection to the port of such a server, or one
// of its old connections shows what only such programs say. It cuts a connection if its other
// end answers as such a program, and asks the host in its session with the server. No other
// connection is touched. The answer is no proof: a page may have a connection to such a program,
// too.

// othersDone says that all other ends were asked.
const othersDone = -1

// meeting returns the protocol whose programs meet at a server, and then connect to each
// other, or none. Some host must have it blocked.
func (e *Engine) meeting() int {
	for i, p := range detect.All {
		if p.Login != nil && e.any.mode(i) >= Block {
			return i
		}
	}
	return none
}

// askOthers makes the engine ask the other ends of a host's old connections.
func (e *Engine) askOthers(a *nfq.Addr, now Time) {
	if s := e.standingOf(a); s != nil && s.others == 0 {
		s.others = int8(len(s.open) * others)
		e.wheel.Set(e.standingTimer(), now)
	}
}

// others is how many questions each of them is sent, the protocol's first probes: one in clear,
// one by TLS.
const others = 2

// askOther sends the questions to other ends, as far as there is room.
func (e *Engine) askOther(i int, s *standing) {
	protocol := e.meeting()
	for s.others > 0 && protocol != none && e.prober != nil && e.cfg.Protocols[protocol].TCPProbe {
		n := int(s.others) - 1
		p, to := detect.All[protocol], s.open[n/others].To
		way := &p.Probes[n%others]
		size := way.Build(e.out[:], nil, s.salt)
		id := standingProbe | uint64(i)<<48 | uint64(standingOthers+n)<<32 | uint64(s.salt)
		if to.Port != 0 && !slices.Contains(p.Servers, to.Port) && !e.prober.ProbeTCP(id, 0, to.Addr, to.Port, e.out[:size], othersAlone) {
			return
		}
		e.Counters.Probes++
		if s.others--; s.others == 0 {
			s.others = othersDone
		}
	}
}

// othersAlone is how much of such a question is sent first. Whoever answers that is another
// program.
const othersAlone = 4

// askedOther cuts an old connection if b, the answer of its other end to question n, is that of
// a client.
func (e *Engine) askedOther(s *standing, n int, b []byte, now Time) {
	protocol := e.meeting()
	h, d := e.standingHost(s, now)
	if protocol == none || len(b) == 0 || n >= len(s.open)*others || s.open[n/others].To.Port == 0 || h == nil || !h.modes.blocks.Has(protocol) ||
		e.exempt(&s.addr, &h.via, now) || !detect.All[protocol].Probes[n%others].Answered(b, nil) {
		return
	}
	key := s.flow(&s.open[n/others])
	hash := e.hash.flow(&key)
	slot := e.flows.get(&key, hash)
	if slot == none {
		slot = e.newFlow(&key, hash, h)
	}
	fl := &e.flows.flows[slot]
	if fl.begun || fl.fate != open {
		return
	}
	fl.fate, fl.protocol = cut, uint8(protocol)
	e.Counters.Cuts++
	s.lookDue, s.until = true, now.After(standingMore)
	e.lookAtFlows()
	e.suspect(h, protocol, detect.ReasonFlow, &s.addr, d, 0, 0, now)
	e.tellCut(h, nil, &key, true, protocol, detect.ReasonFlow)
	e.stir(s, protocol, now)
}

// overheard reads what comes in on a host's old connections. What a server or another client
// says there proves nothing. It leads to questions, and shows which connection is a server's.
func (e *Engine) overheard(p *nfq.Packet, now Time) {
	s := e.standingOf(&p.Dst)
	if s == nil || s.others != 0 && s.server != 0 {
		return
	}
	protocol := e.meeting()
	if protocol == none {
		return
	}
	i := s.connection(p.DstPort, &p.Src, p.SrcPort)
	f := &e.finding
	f.Reset()
	if i < 0 || detect.All[protocol].First(p.Payload, true, f) != detect.Yes {
		return
	}
	e.askOthers(&s.addr, now)
	if s.server != 0 || detect.All[protocol].Login.Again(e.out[:], p.Payload, 0) == 0 {
		return
	}
	s.server = int8(i + 1)
	if s.stirred != 0 && int(s.stirring) == protocol {
		s.greet = now.After(standingGreet) // the others are done
		e.wheel.Set(e.standingTimer(), s.greet)
	}
}

// toServer reports whether old connection i seems to be one to a server of the protocol.
func (s *standing) toServer(i int, p *detect.Protocol) bool {
	return slices.Contains(p.Servers, s.open[i].To.Port) || int(s.server) == i+1
}
