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

// udpFlows is the table of watched UDP flows. One that has shown to be nothing
// stays until its place is needed, so that it is not looked at again.
type udpFlows struct {
	table.Recent[flowKey]
	state []detect.FlowState // by slot
}

func newUDPFlows() udpFlows {
	return udpFlows{table.NewRecent[flowKey](maxUDPFlows), make([]detect.FlowState, maxUDPFlows)}
}

// watch looks at a datagram that fits the protocol of f, together with those
// before it: Yes says that they show it, Hint that they may be of it.
func (e *Engine) watch(p *nfq.Packet, f *detect.Finding, now Time) detect.Match {
	protocol := detect.All[f.Protocol]
	if protocol.Flow == nil {
		return detect.No
	}
	k := keyOf(p)
	slot, isNew := e.udpFlows.Take(k, e.hash.flow(&k))
	s := &e.udpFlows.state[slot]
	if isNew {
		*s = detect.FlowState{}
	}
	return protocol.Flow(s, p.Payload, uint32(now/1000))
}
