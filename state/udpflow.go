// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// maxUDPFlows is how many UDP flows are watched in the same moment, of those whose
// datagrams fit a protocol but do not show it alone.
const maxUDPFlows = 128

// udpFlowKey is a flow, as one protocol watches it.
type udpFlowKey struct {
	flowKey
	protocol uint8
}

// udpFlows is the table of watched UDP flows. One that has shown to be nothing
// stays until its place is needed, so that it is not looked at again.
type udpFlows struct {
	table.Recent[udpFlowKey]
	state []detect.FlowState // by slot
}

func newUDPFlows() udpFlows {
	return udpFlows{table.NewRecent[udpFlowKey](maxUDPFlows), make([]detect.FlowState, maxUDPFlows)}
}

// watch looks at a datagram that fits the protocols of e.weak, together with those before
// it: Yes says that they show one of these, Hint that they may be of it.
func (e *Engine) watch(p *nfq.Packet, now Time) (protocol int, m detect.Match) {
	protocol, m = none, detect.No
	for i, x := range detect.All {
		if x.Flow == nil || !e.weak.Has(i) {
			continue
		}
		k := udpFlowKey{keyOf(p), uint8(i)}
		slot, isNew := e.udpFlows.Take(k, e.hash.flow(&k.flowKey)+uint32(i))
		s := &e.udpFlows.state[slot]
		if isNew {
			*s = detect.FlowState{}
		}
		switch x.Flow(s, p.Payload, uint32(now/1000)) {
		case detect.Yes:
			return i, detect.Yes
		case detect.Hint:
			protocol, m = i, detect.Hint
		}
	}
	return protocol, m
}
