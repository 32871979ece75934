// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// maxFlows is how many connections are looked at in the same moment. A
// connection is in the table from its first data until it is known to be
// none of a client's, a matter of one or two packets.
const maxFlows = 256

// flowKey identifies a connection.
type flowKey struct {
	lan, wan     nfq.Addr
	lport, wport uint16
}

func (h hasher) flow(k *flowKey) uint32 {
	x := h.addr(&k.lan) ^ h.addr(&k.wan)*3
	return finish(word(x, uint32(k.lport)<<16|uint32(k.wport)))
}

// keyOf returns the key of the connection of a packet that the LAN host sent.
func keyOf(p *nfq.Packet) flowKey {
	return flowKey{lan: p.Src, wan: p.Dst, lport: p.SrcPort, wport: p.DstPort}
}

// fate is what is known of a connection.
type fate uint8

const (
	open  fate = iota // it is being looked at
	cut               // of a client: nothing of it goes on, not even sent again later
	asked             // its first data was answered in the peer's name, see handshake.go
)

// flow is a TCP connection, as far as the LAN host speaks in it. What comes in is no sign
// of anything.
type flow struct {
	_    [0]func() // not to be compared: the code for it costs flash
	key  flowKey
	hash uint32
	fate fate
	// owner is the slot of the LAN host.
	owner int32
	// begun: the LAN host opened it, and its first packet was seen.
	begun bool
	// decided is when it was let pass before, 0 for never.
	decided Time
	// claimed: something of a protocol was recognised in it; sure: these are the words
	// of a program, read to their end.
	claimed, sure bool
	// waiting: it was recognised, and goes on until its next message has come.
	waiting bool
	// What was recognised.
	protocol uint8
	reason   detect.Reason
	conduct  bool
	port     uint16          // where the LAN host says that it listens
	named    detect.Endpoint // the peer that the host says it uses
	stream   detect.Stream
	// middle is what came of a connection that was there before it was looked at.
	middle detect.PeerMiddle
	// later is how many segments are still looked at of a connection that looked random at
	// its beginning.
	later uint8
	// waits is how often its first data was dropped, to be asked when it is sent again.
	waits uint8
	// mid is what shows of that to be something else, said[:nsaid] what could be read of it,
	// and segments how many there were; see standing.go.
	mid      detect.Middle
	said     [saidSize]byte
	nsaid    uint8
	segments uint8
	// looks is how many segments were looked at of a connection that may have been a
	// client's before the engine began, see running.go.
	looks uint8
	// When the first data was answered: what the next has to contain, how much of that
	// came, and up to where the host acknowledges when it has seen the answer.
	proof [20]byte
	tries uint8
	heard uint32
	dev   uint32 // the device by which it came in
	spent bool   // its first data was answered, so that its peer knows another connection
	// login is how far a session with a server is that is answered in its name, salt what made
	// the answer.
	login login
	salt  uint32
}

// take keeps what a segment said until the head that it is of was read to its end.
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

// start sets where the LAN host's words begin, as far as that is known: p, the
// first data that is seen, may have overtaken what precedes it.
func (f *flow) start(h *host, p *nfq.Packet) {
	if s := h.attempt(&f.key); s != nil {
		if f.decided = s.decided; f.decided != 0 {
			return // its beginning was looked at
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

func (t *flowTable) get(k flowKey, hash uint32) int32 { return t.index.Get(k, hash) }

// add enters a connection; there must be room.
func (t *flowTable) add(k flowKey, hash uint32) (slot int32) {
	slot = t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	// In place: a literal of this size would be made elsewhere and copied.
	f := &t.flows[slot]
	f.key, f.hash, f.fate, f.begun = k, hash, open, false
	f.claimed, f.sure, f.waiting, f.reason, f.conduct, f.port, f.named = false, false, false, 0, false, 0, detect.Endpoint{}
	f.stream, f.middle, f.later, f.waits, f.tries, f.spent, f.decided = detect.Stream{}, detect.PeerMiddle{}, 0, 0, 0, false, 0
	f.mid, f.nsaid, f.segments, f.looks, f.login = detect.Middle{}, 0, 0, 0, loginNone
	t.index.Put(k, hash, slot)
	t.lru.Push(slot)
	return slot
}

func (t *flowTable) remove(slot int32) {
	f := &t.flows[slot]
	t.index.Remove(f.key, f.hash)
	t.lru.Remove(slot)
	t.free = append(t.free, slot)
}

// flowsPerHost is how many connections of one host are looked at in the same moment.
const flowsPerHost = maxFlows / 4

// newFlow enters a connection of a host. When there is no room, or the host has its
// share, the one that was idle longest gives way: of the host's own in the latter case.
func (e *Engine) newFlow(key flowKey, hash uint32, h *host) int32 {
	t := &e.flows
	owner := e.slotOf(h)
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
