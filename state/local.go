// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// local looks at what a LAN host says to the router or to a group of the LAN. It
// always goes on. Others can say it as well, so that the host is asked where it says that
// it listens.
func (e *Engine) local(p *nfq.Packet, d *Device, now Time) {
	if len(p.Payload) == 0 {
		return
	}
	f := &e.finding
	for i, protocol := range detect.All {
		if protocol.Local == nil || !e.any.on.Has(i) {
			continue
		}
		f.Reset()
		kind := protocol.Local(p.Payload, p.DstPort, p.Proto == nfq.ProtoTCP, f)
		if kind == detect.None {
			continue
		}
		if h := e.hostOf(p, d, now); h != nil && h.modes.on.Has(i) {
			if f.Reason == detect.ReasonNone {
				f.Reason = detect.ReasonMapping
			}
			e.suspect(h, i, f.Reason, &p.Src, d, f.TCPPort, f.TCPPort, now)
			// A program beside the client may have a port mapped, too.
			if h.client != none && (f.Reason == detect.ReasonLocal || e.clients[h.client].listen == 0) {
				e.clients[h.client].learn(f)
			}
		}
		return
	}
}
