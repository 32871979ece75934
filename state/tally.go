// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"encoding/binary"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// tally counts what was done about a client since the last call of Tallies.
type tally struct {
	connections uint32
	bytes       uint64
	locked      time.Duration // total of the locks that have ended
	since       Time          // the current lock counts from here
	seen        Time          // lastSeen at the last call
	// flows are marks of the connections cut last: sets of four, the newest first; 0 for an
	// empty place. With them a retransmission does not count as a new connection.
	flows [16][4]uint16
}

// drop counts a packet that is dropped.
func (t *tally) drop(p *nfq.Packet) {
	h := binary.BigEndian.Uint32(p.Dst[4:]) ^ binary.BigEndian.Uint32(p.Dst[12:])
	h = (h ^ uint32(p.SrcPort)<<16 ^ uint32(p.DstPort)) * 2654435761
	mark := uint16(h>>10) | 1
	if f := &t.flows[h>>28]; f[0] != mark && f[1] != mark && f[2] != mark && f[3] != mark {
		f[0], f[1], f[2], f[3] = mark, f[0], f[1], f[2]
		t.connections++
	}
	const headers4, headers6, moreOfTCP = 28, 48, 12
	n := headers4
	if p.Version == 6 {
		n = headers6
	}
	if p.Proto == nfq.ProtoTCP {
		n += moreOfTCP
	}
	t.bytes += uint64(n + p.PayloadLen)
}

// Tally is what was done about a client since the last call.
type Tally struct {
	_           [0]func() // not comparable: code to compare it costs flash
	Addr        nfq.Addr
	MAC         nfq.MAC
	Protocol    uint8 // index in detect.All
	Reason      detect.Reason
	Proof       Proof
	Program     detect.ClientName
	FirstSeen   Time
	LastSeen    Time
	Locked      time.Duration
	Connections uint32 // cut connections that reached the engine
	Bytes       uint64 // of their packets, IP headers included
}

// Tallies calls f for each proved client with something new, and starts counting from zero
// again. There must be only one caller. A client that was forgotten meanwhile is left out.
func (e *Engine) Tallies(now Time, f func(*Tally)) {
	var x Tally
	for i := range e.clients {
		c := &e.clients[i]
		if !c.used || c.proof == ProofNone {
			continue
		}
		t := &c.tally
		if c.locked && !c.foreign {
			t.locked += now.Since(t.since)
			t.since = now
		}
		if t.seen == c.lastSeen && t.locked == 0 && t.bytes == 0 {
			continue
		}
		x = Tally{
			Addr: c.addr, MAC: c.mac, Protocol: c.protocol, Reason: c.reason, Proof: c.proof, Program: c.program,
			FirstSeen: c.firstSeen, LastSeen: c.lastSeen, Locked: t.locked, Connections: t.connections, Bytes: t.bytes,
		}
		t.seen, t.locked, t.connections, t.bytes = c.lastSeen, 0, 0, 0
		f(&x)
	}
}
