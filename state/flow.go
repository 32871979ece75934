// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// maxFlows is how many connections are looked at in the same moment. A
// connection is in the table from its first data until it is known to be
// harmless, a matter of two or three packets.
const maxFlows = 256

// flowKey identifies a TCP connection.
type flowKey struct {
	lan, wan     nfq.Addr
	lport, wport uint16
}

func (h hasher) flow(k *flowKey) uint32 {
	x := h.addr(&k.lan) ^ h.addr(&k.wan)*3
	return finish(word(x, uint32(k.lport)<<16|uint32(k.wport)))
}

// keyOf returns the key of a packet's connection.
func keyOf(p *nfq.Packet, outbound bool) flowKey {
	if outbound {
		return flowKey{lan: p.Src, wan: p.Dst, lport: p.SrcPort, wport: p.DstPort}
	}
	return flowKey{lan: p.Dst, wan: p.Src, lport: p.DstPort, wport: p.SrcPort}
}

// fate is what is known of a connection.
type fate uint8

const (
	open    fate = iota // it is being looked at
	unknown             // nothing is known by it: refused while its host is sifted
	cut                 // of a client: nothing of it goes on, not even sent again later
)

type flow struct {
	key  flowKey
	hash uint32
	fate fate
	// begun: its first packet was seen.
	begun bool
	// claimed: it is of a protocol, and was let pass.
	claimed bool
	// asked: a client has asked something here, by the protocol, whose answer
	// names peers.
	asked    bool
	protocol uint8
	out, in  detect.Stream
}

// start sets where the two directions begin, as far as that is known: p, the
// first data that is seen, may have overtaken what precedes it.
func (f *flow) start(h *host, p *nfq.Packet, outbound bool) {
	if outbound {
		if s := h.attempt(p); s != nil {
			f.out.Start(s.seq + 1)
			f.begun = true
		}
	}
	if p.TCPFlags&nfq.ACK != 0 {
		f.direction(!outbound).Start(p.Ack)
	}
}

// direction returns what is sent by the LAN host, or what is sent to it.
func (f *flow) direction(outbound bool) *detect.Stream {
	if outbound {
		return &f.out
	}
	return &f.in
}

type flowTable struct {
	flows []flow
	free  []int32
	index index[flowKey]
	lru   lru
}

func newFlowTable() flowTable {
	t := flowTable{
		flows: make([]flow, maxFlows),
		free:  make([]int32, 0, maxFlows),
		index: newIndex[flowKey](maxFlows),
		lru:   newLRU(maxFlows),
	}
	for i := maxFlows - 1; i >= 0; i-- {
		t.free = append(t.free, int32(i))
	}
	return t
}

func (t *flowTable) get(k flowKey, hash uint32) int32 { return t.index.get(k, hash) }

// add enters a connection, in place of the one that was idle longest when there
// is no room.
func (t *flowTable) add(k flowKey, hash uint32) (slot int32, evicted bool) {
	if len(t.free) == 0 {
		t.remove(t.lru.oldest())
		evicted = true
	}
	slot = t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	// In place: a literal of this size would be made elsewhere and copied.
	f := &t.flows[slot]
	f.key, f.hash, f.fate, f.begun = k, hash, open, false
	f.claimed, f.asked = false, false
	f.out = detect.Stream{}
	f.in = detect.Stream{}
	t.index.put(k, hash, slot)
	t.lru.push(slot)
	return slot, evicted
}

func (t *flowTable) remove(slot int32) {
	f := &t.flows[slot]
	t.index.remove(f.key, f.hash)
	t.lru.remove(slot)
	t.free = append(t.free, slot)
}
