// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// A client asks for many blocks of a file at once, and then says nothing until they are
// there. When its host is locked meanwhile, only what comes in can tell which of its old
// connections are the client's. The kernel shows a part of that for watched hosts. A
// stranger who imitates it gets its own connection ended, and nothing else.

// cutDrops is how long data that was under way is dropped after its connection was cut.
// After that it passes: the host no longer has the connection and refuses the data, and
// then the other side gives up.
const cutDrops = 300 * time.Millisecond

// received decides about a segment that came to a host from outside. c is its client, or nil.
func (e *Engine) received(p *nfq.Packet, h *host, c *client) nfq.Verdict {
	if len(p.Payload) == 0 || p.TCPFlags&(nfq.SYN|nfq.RST) != 0 {
		return nfq.Accept
	}
	now, locked := e.now, c != nil && c.locked && c.selective
	if e.stands {
		e.overheard(p, now)
	}
	key := flowKey{lan: p.Dst, wan: p.Src, lport: p.DstPort, wport: p.SrcPort}
	hash := e.hash.flow(&key)
	slot := e.flows.get(&key, hash)
	if slot == none {
		if !locked {
			return nfq.Accept
		}
		s := h.attempt(&key)
		if s != nil && (s.decided == 0 || s.decided >= c.lookedAnew) || e.servesAt(h, &key) {
			return nfq.Accept // its beginning is being read, or was read a moment ago
		}
		slot = e.newFlow(&key, hash, h)
		if s != nil {
			e.flows.flows[slot].decided = s.decided
		}
	}
	fl := &e.flows.flows[slot]
	e.flows.lru.Touch(slot)
	switch {
	case fl.begun, fl.claimed, fl.later > 0: // its beginning says more
		return nfq.Accept
	case fl.fate == cut && h.modes.blocks.Has(int(fl.protocol)):
		return e.receivedLate(p, c, fl, now)
	case fl.fate != open, !locked:
		return nfq.Accept
	}
	j := e.judgement(h, fl, now)
	if j == innocent || j == other {
		return nfq.Accept
	}
	if p.TCPFlags&nfq.PSH != 0 {
		fl.middle.Heard(p.PayloadLen)
	}
	for i, proto := range detect.All {
		if !c.proved.Has(i) || !h.modes.holds.Has(i) || proto.Hidden == nil || proto.Hidden.Pieces == nil {
			continue
		}
		m := proto.Hidden.Pieces(&fl.pieces, p.Seq, p.Payload, p.PayloadLen, p.TCPFlags&nfq.PSH != 0)
		if m != detect.Yes && (m != detect.Hint || !usual(fl, proto) || j == ended) {
			continue
		}
		fl.protocol = uint8(i)
		if h.marks(i) {
			return e.markHidden(h, fl, now)
		}
		e.cutFlow(h, fl)
		switch {
		case m == detect.Hint:
			e.judge(h, fl, ended, now)
		case service(fl):
			e.disguise(c, fl)
		}
		return e.receivedLate(p, c, fl, now)
	}
	return nfq.Accept
}

// receivedLate handles what comes in on a connection that was cut. It resets the connection
// each time: only a reset that fits what the host has received counts.
func (e *Engine) receivedLate(p *nfq.Packet, c *client, fl *flow, now Time) nfq.Verdict {
	if fl.cutAt == 0 {
		fl.cutAt = now
	}
	e.reset(&nfq.Packet{
		Version: p.Version, Proto: nfq.ProtoTCP, TCPFlags: nfq.ACK, InDev: p.OutDev, Ack: p.Seq,
		Src: p.Dst, Dst: p.Src, SrcPort: p.DstPort, DstPort: p.SrcPort,
	})
	if now.Since(fl.cutAt) < cutDrops {
		return c.drop(p)
	}
	return nfq.Accept
}

// servesAt reports whether the LAN host seems to be the server of a connection.
func (e *Engine) servesAt(h *host, k *flowKey) bool {
	s := e.standingOf(&k.lan)
	return k.lport < private || detect.WellKnown(nfq.ProtoTCP, k.lport) || h.serves(k.lport) ||
		s != nil && slices.Contains(s.served[:], k.lport)
}

// usual reports whether a connection goes to a port where programs of the protocol listen
// unless they are told otherwise.
func usual(fl *flow, p *detect.Protocol) bool { return slices.Contains(p.Ports, fl.key.wport) }
