// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// local looks at what a LAN host says to the router or to a group of the LAN. It
// always goes on.
func (e *Engine) local(p *nfq.Packet, d *Device, now Time) {
	if len(p.Payload) == 0 || e.exempt(&p.Src, &p.MAC, now) {
		return
	}
	f := &e.finding
	for i, protocol := range detect.All {
		if protocol.Local == nil || e.cfg.Protocols[i].Mode == Off {
			continue
		}
		f.Reset()
		kind := protocol.Local(p.Payload, p.DstPort, p.Proto == nfq.ProtoTCP, f)
		if kind == detect.None {
			continue
		}
		h := e.hostOf(p, d, now)
		if h == nil {
			return
		}
		if kind == detect.Weak {
			h.likely = now.After(suspectTime)
			if h.client != none {
				e.clients[h.client].learn(f)
			} else if f.Port != 0 {
				e.ask(h, nfq.AddrPort{Addr: p.Src, Port: f.Port}, d, now)
			}
			return
		}
		f.Kind, f.Protocol = kind, i
		c := e.met(h, f, &p.Src, d, &nfq.Addr{}, 0, now)
		if c == nil {
			return
		}
		if c.port == 0 { // one number serves TCP and UDP
			c.askedAt, c.port = p.Src, f.Port
		}
		c.learn(f)
		e.lock(h.client, c, i, f.Reason, now)
		return
	}
}
