// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const (
	dnsPort = 53
	// nameTime is how long a host is looked at more closely that asked for a listed name.
	nameTime = time.Minute
)

// nameReply reads what a name server answers a LAN host. A page can have a browser ask
// for any name, and the server can give it any address. So a listed name only makes its
// host a suspect, and an address stands for nothing.
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

// serverName looks at the name that a connection with TLS asks its server for: whoever asks
// a name server elsewhere is seen by that. A page can have a browser do it, too.
func (e *Engine) serverName(p *nfq.Packet, d *Device, h *host, now Time) {
	if !e.hasNames {
		return
	}
	name := detect.ServerName(p.Payload)
	if len(name) == 0 {
		return
	}
	for i := range detect.All {
		if cfg := &e.cfg.Protocols[i]; h.modes.on.Has(i) && cfg.Names.Match(name) {
			e.suspect(h, i, detect.ReasonName, &p.Src, d, 0, 0, now)
			return
		}
	}
}
