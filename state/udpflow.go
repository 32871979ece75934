// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// maxUDPFlows is how many UDP flows are watched in the same moment, of those whose
// datagrams fit a protocol but do not show it alone.
const maxUDPFlows = 128

type udpFlow struct {
	key  flowKey
	hash uint32
	utp  detect.UTP
}

// udpFlows is the table of watched UDP flows. One that has shown to be nothing
// stays until its place is needed, so that it is not looked at again.
type udpFlows struct {
	flows []udpFlow
	used  int
	index index[flowKey]
	lru   lru
}

func newUDPFlows() udpFlows {
	return udpFlows{
		flows: make([]udpFlow, maxUDPFlows),
		index: newIndex[flowKey](maxUDPFlows),
		lru:   newLRU(maxUDPFlows),
	}
}

// get returns the flow, entering it when it is new.
func (t *udpFlows) get(k *flowKey, hash uint32) *udpFlow {
	slot := t.index.get(*k, hash)
	if slot != none {
		t.lru.touch(slot)
		return &t.flows[slot]
	}
	if t.used < len(t.flows) {
		slot = int32(t.used)
		t.used++
	} else {
		slot = t.lru.oldest()
		t.lru.remove(slot)
		t.index.remove(t.flows[slot].key, t.flows[slot].hash)
	}
	f := &t.flows[slot]
	f.key, f.hash, f.utp = *k, hash, detect.UTP{}
	t.index.put(*k, hash, slot)
	t.lru.push(slot)
	return f
}

// watch looks at a datagram that fits the protocol of f, together with those
// before it, and reports whether they show it.
func (e *Engine) watch(p *nfq.Packet, f *detect.Finding, outbound bool, now Time) bool {
	protocol := detect.All[f.Protocol]
	if protocol.Flow == nil {
		return false
	}
	k := keyOf(p, outbound)
	fl := e.udpFlows.get(&k, e.hash.flow(&k))
	return protocol.Flow(&fl.utp, p.Payload, outbound, uint32(now/1000)) == detect.Yes
}
