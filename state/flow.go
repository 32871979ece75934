// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// maxFlows is how many connections the engine reads at the same time. A connection is in
// the table from its first data until the engine knows that it is not a client's, usually
// for one or two packets.
const maxFlows = 256

// flowKey identifies a connection.
type flowKey struct {
	words        [0]uint32 //lint:ignore U1000 MIPS copies the key by words then, and not by halves
	lan, wan     nfq.Addr
	lport, wport uint16
}

func (h hasher) flow(k *flowKey) uint32 {
	x := h.addr(&k.lan) ^ h.addr(&k.wan)*3
	return finish(word(x, uint32(k.lport)<<16|uint32(k.wport)))
}

// keyOf returns the key of a packet's connection. The LAN host sent the packet.
func keyOf(p *nfq.Packet) flowKey {
	return flowKey{lan: p.Src, wan: p.Dst, lport: p.SrcPort, wport: p.DstPort}
}

// fate is the decision about a connection.
type fate uint8

const (
	open  fate = iota // still being read
	cut               // it is a client's: nothing of it passes, retransmissions included
	asked             // the engine answered its first data in the peer's name, see handshake.go
)

// flow is a TCP connection, mostly the LAN host's direction of it. What comes in from
// outside locks nobody.
type flow struct {
	_    [0]func() // not comparable: code to compare it costs flash
	key  flowKey
	hash uint32
	fate fate
	// owner is the slot of the LAN host.
	owner int32
	// begun: the LAN host opened it, and the engine saw its first packet.
	begun bool
	// decided is when the engine accepted it earlier, 0 for never.
	decided Time
	// claimed: a protocol was recognised in it. sure: that was read to its end, and a
	// program sent it, not a browser.
	claimed, sure bool
	// waiting: a protocol was recognised, but the connection stays open until its next
	// message.
	waiting bool
	// The result of the recognition.
	protocol uint8
	reason   detect.Reason
	conduct  bool
	port     uint16          // where the LAN host says it listens
	named    detect.Endpoint // the peer that the host says it uses
	stream   detect.Stream
	// middle is what the engine learnt from the middle of an older connection.
	middle detect.PeerMiddle
	// read is where the data of an older connection ends that was read, 0 for none.
	read uint32
	// pieces is what came in of it, cutAt when the first data came in after it was cut; see
	// received.go.
	pieces detect.Pieces
	cutAt  Time
	// later is how many more segments the engine reads of a connection that began with
	// random data.
	later uint8
	// waits is how often its first data was dropped. The engine asks when the host sends it
	// again.
	waits uint8
	// mid is whether the data turns out to be something else. said[:nsaid] is the part that
	// could be read, segments how many segments there were; see standing.go.
	mid      detect.Middle
	said     [saidSize]byte
	nsaid    uint8
	segments uint8
	// looks is how many segments were read of a connection that may be a client's from
	// before the engine's start, see running.go.
	looks uint8
	// After the engine's answer to the first data: proof is what the host must send next,
	// tries how many segments came since, and heard the acknowledgement number that shows
	// that the host has the answer.
	proof [20]byte
	tries uint8
	heard uint32
	dev   uint32 // the device on which it arrived
	spent bool   // the engine answered its first data, so its peer and the host no longer agree
	// login is the progress of a login that the engine answers in the server's name. salt
	// is the salt of that answer.
	login login
	salt  uint32
}

// take stores what a segment told, until its head was read to the end.
func (f *flow) take(x *detect.Finding) {
	if f.reason != detect.ReasonAnnounce {
		f.reason = x.Reason
	}
	f.protocol, f.conduct = uint8(x.Protocol), f.conduct || x.Conduct
	if x.TCPPort != 0 {
		f.port = x.TCPPort
	}
	if x.N > 0 {
		f.named = x.Peers[0]
	}
}

// start sets the sequence number at which the LAN host's data begins, if it is known. The
// first data that arrives, p, may have overtaken earlier data.
func (f *flow) start(h *host, p *nfq.Packet) {
	if s := h.attempt(&f.key); s != nil {
		if f.decided = s.decided; f.decided != 0 {
			return // its beginning was read before
		}
		f.stream.Start(s.seq + 1)
		f.begun = true
	}
}

type flowTable struct {
	flows []flow
	free  []int32
	index table.Index[flowKey]
	lru   table.LRU
}

func newFlowTable() flowTable {
	t := flowTable{
		flows: make([]flow, maxFlows),
		free:  make([]int32, 0, maxFlows),
		index: table.NewIndex[flowKey](maxFlows),
		lru:   table.NewLRU(maxFlows),
	}
	for i := maxFlows - 1; i >= 0; i-- {
		t.free = append(t.free, int32(i))
	}
	return t
}

func (t *flowTable) get(k *flowKey, hash uint32) int32 { return t.index.Get(k, hash) }

// add enters a connection. There must be room.
func (t *flowTable) add(k *flowKey, hash uint32) (slot int32) {
	slot = t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	// In place: a composite literal of this size would be built elsewhere and copied.
	f := &t.flows[slot]
	f.key, f.hash, f.fate, f.begun = *k, hash, open, false
	f.claimed, f.sure, f.waiting, f.reason, f.conduct, f.port, f.named.Port = false, false, false, 0, false, 0, 0
	f.stream.Reset()
	f.middle.Reset()
	f.later, f.waits, f.tries, f.spent, f.decided = 0, 0, 0, false, 0
	f.mid, f.nsaid, f.segments, f.looks, f.login = detect.Middle{}, 0, 0, 0, loginNone
	f.pieces, f.cutAt, f.read = detect.Pieces{}, 0, 0
	t.index.Put(k, hash, slot)
	t.lru.Push(slot)
	return slot
}

func (t *flowTable) remove(slot int32) {
	f := &t.flows[slot]
	t.index.Remove(slot, f.hash)
	t.lru.Remove(slot)
	t.free = append(t.free, slot)
}

// flowsPerHost is how many connections of one host the engine reads at the same time.
const flowsPerHost = maxFlows / 4

// newFlow enters a connection of a host. When the host has used up its share, its own
// longest idle connection gives way. When the table is full, the longest idle one of all
// gives way.
func (e *Engine) newFlow(key *flowKey, hash uint32, h *host) int32 {
	t := &e.flows
	owner := h.slot
	switch {
	case h.flows >= flowsPerHost:
		s := t.lru.Oldest()
		for s != none && t.flows[s].owner != owner {
			s = t.lru.Newer(s)
		}
		e.Counters.FlowsEvicted++
		e.endFlowAt(s)
	case len(t.free) == 0:
		e.Counters.FlowsEvicted++
		e.endFlowAt(t.lru.Oldest())
	}
	slot := t.add(key, hash)
	e.held.drop(slot)
	t.flows[slot].owner = owner
	h.flows++
	return slot
}

// endFlowAt forgets a connection.
func (e *Engine) endFlowAt(slot int32) {
	e.wheel.Stop(e.timerOf(slot))
	if h := &e.hosts[e.flows.flows[slot].owner]; h.flows > 0 {
		h.flows--
	}
	e.flows.remove(slot)
}
