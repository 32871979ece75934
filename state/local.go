// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// local reads what a LAN host sends to the router or to a multicast group of the LAN. The
// packet always passes. Other programs can send the same, so this only makes the host a
// suspect. The engine asks it at the port that it names.
func (e *Engine) local(p *nfq.Packet, d *Device, now Time) {
	if len(p.Payload) == 0 || e.any.on == 0 {
		return
	}
	f := &e.finding
	f.Reset()
	tcp := p.Proto == nfq.ProtoTCP
	// A port mapping may be any program's.
	if m, ok := detect.MappingRequest(p.Payload, p.DstPort, tcp); ok && e.looks {
		f.TCPPort, f.UDPPort, f.Reason = m.Port, m.Port, detect.ReasonMapping
		e.searched(p, d, none, f, now)
		return
	}
	for i, protocol := range detect.All {
		if !tcp && protocol.Local != nil && e.any.on.Has(i) && protocol.Local(p.Payload, p.DstPort, f) {
			f.Protocol = i
			e.searched(p, d, i, f, now)
			return
		}
	}
}

// searched asks a host that has named its port. protocol is none if it may be any.
func (e *Engine) searched(p *nfq.Packet, d *Device, protocol int, f *detect.Finding, now Time) {
	h := e.hostOf(p, d, now)
	if h == nil || protocol != none && !h.modes.on.Has(protocol) {
		return
	}
	e.suspect(h, protocol, f.Reason, &p.Src, d, f.UDPPort, f.TCPPort, now)
	// A program beside the client may have a port mapped, too.
	if c := e.clientOf(h); c != nil && (protocol != none || c.listen == 0) {
		f.UDPPort = 0 // its queries show that port more reliably
		c.learn(f)
	}
}
