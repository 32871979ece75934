// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// maxUDPFlows is how many UDP flows are watched at the same time. Their datagrams match a
// protocol, but a single one does not show it.
const maxUDPFlows = 128

// udpFlowKey identifies a flow and the protocol that watches it.
type udpFlowKey struct {
	flowKey
	protocol uint8
}

// udpFlows is the table of watched UDP flows. A flow that turned out to be nothing stays
// until its place is needed, so that it is not examined again.
type udpFlows struct {
	table.Recent[udpFlowKey]
	state []detect.FlowState // by slot
}

func newUDPFlows() udpFlows {
	return udpFlows{table.NewRecent[udpFlowKey](maxUDPFlows), make([]detect.FlowState, maxUDPFlows)}
}

// watch examines a weak match of the protocols in e.weak, together with the earlier
// datagrams of its flow. Yes says that they show the protocol that it returns, Hint that
// they may.
func (e *Engine) watch(p *nfq.Packet, now Time) (protocol int, m detect.Match) {
	protocol, m = none, detect.No
	for i, x := range detect.All {
		if x.Flow == nil || !e.weak.Has(i) {
			continue
		}
		k := udpFlowKey{keyOf(p), uint8(i)}
		slot, isNew := e.udpFlows.Take(&k, e.hash.flow(&k.flowKey)+uint32(i))
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
