// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const (
	dnsPort = 53
	// nameTime is how long a host is watched more closely after it asked for a listed name.
	nameTime = time.Minute
)

// nameReply reads a name server's answer to a LAN host. A web page can make a browser ask
// for any name, and the server can return any address. So a listed name only makes its host
// a suspect, and the address in the answer counts for nothing.
func (e *Engine) nameReply(p *nfq.Packet, now Time) {
	if !e.hasNames || !e.dns.Parse(p.Payload) {
		return
	}
	for i := range detect.All {
		cfg := &e.cfg.Protocols[i]
		if !e.any.on.Has(i) || !cfg.Names.Match(e.dns.Name[:e.dns.N]) {
			continue
		}
		h, d := e.hostAt(&p.Dst), e.device(p.OutDev)
		if h != nil && d != nil && h.modes.on.Has(i) && !e.exempt(&p.Dst, &h.key.mac, now) {
			e.suspect(h, i, detect.ReasonName, &p.Dst, d, 0, 0, now)
		}
		return
	}
}

// serverName reads the server name in a TLS hello. So it also finds hosts that ask a name
// server elsewhere. A web page can cause this, too.
func (e *Engine) serverName(p *nfq.Packet, d *Device, h *host, now Time) {
	if !e.hasNames {
		return
	}
	name, _ := detect.Hello(p.Payload)
	if len(name) == 0 || !e.names.May(name) {
		return
	}
	for i := range detect.All {
		if cfg := &e.cfg.Protocols[i]; h.modes.on.Has(i) && cfg.Names.Match(name) {
			e.suspect(h, i, detect.ReasonName, &p.Src, d, 0, 0, now)
			return
		}
	}
}
