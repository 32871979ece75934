// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"net/netip"
	"slices"
)

// situation is one way to run a client.
type situation struct {
	name  string // no comma: rTorrent cannot have one in its paths
	kind  *kind
	swarm swarmConfig
	opt   func(*options)

	nat     bool // the LAN is masqueraded, as on most routers; else it is routed
	saved   bool // tracker and DHT are gone, the client knows peers from an earlier run
	running bool // the wall starts when the transfer already runs
	lanPeer bool // another host of the LAN has the file
	// firewall is one on the client's host that lets nothing in that was not asked for.
	firewall bool
	// silent: no question reaches the client, so that the lock may end while it says
	// nothing. mute: it has nobody to speak to either, as its tracker is cut, so that it
	// need not be found. Nothing may pass all the same.
	silent, mute bool
	// late: it says nothing by which it is known, so that it has to be found first, and the
	// two seconds count from then. second: so too, and it is found when it connects again, as
	// nothing of it can be asked before.
	late, second bool
	more         bool // only asked for with -all
}

// chosen are the situations to run.
func chosen() []situation {
	var out []situation
	for _, s := range situations {
		if *all || !s.more {
			out = append(out, s)
		}
	}
	return out
}

// situations are run without the wall, when all of them must get the file, and
// with it.
var situations = slices.Concat(usual, hidden, newest)

// usual are the situations of Debian 12's clients as people have them.
var usual = []situation{
	{name: "defaults", kind: transmission, swarm: swarmConfig{tracker: "http"}, nat: true},
	{name: "defaults", kind: qbittorrent, swarm: swarmConfig{tracker: "udp"}},
	{name: "defaults", kind: aria2, swarm: swarmConfig{tracker: "http"}, nat: true},
	{name: "defaults", kind: rtorrent, swarm: swarmConfig{tracker: "http"}, opt: noNode},
	{name: "defaults", kind: deluge, swarm: swarmConfig{tracker: "udp"}, nat: true, more: true},

	{name: "encrypted", kind: transmission, swarm: swarmConfig{tracker: "http", encrypted: true}, opt: encrypted},
	{name: "encrypted", kind: qbittorrent, swarm: swarmConfig{tracker: "http", encrypted: true}, opt: encrypted, more: true},
	{name: "encrypted", kind: rtorrent, swarm: swarmConfig{tracker: "udp", encrypted: true}, opt: encrypted, more: true},

	{name: "no DHT", kind: transmission, swarm: swarmConfig{tracker: "udp"}, opt: noDHT, more: true},
	{name: "no DHT", kind: qbittorrent, swarm: swarmConfig{tracker: "http"}, opt: noDHT},

	{name: "uTP only", kind: qbittorrent, swarm: swarmConfig{tracker: "http"}, opt: func(o *options) { o.by = onlyUTP }},

	{name: "TCP only", kind: transmission, swarm: swarmConfig{tracker: "http"}, opt: func(o *options) { o.by = onlyTCP }},
	{name: "TCP only", kind: qbittorrent, swarm: swarmConfig{tracker: "udp"}, opt: func(o *options) { o.by = onlyTCP }, more: true},

	{name: "magnet", kind: qbittorrent, opt: func(o *options) { o.magnet = true }},
	{name: "magnet", kind: transmission, swarm: swarmConfig{tracker: "udp"}, opt: func(o *options) { o.magnet = true }, more: true},

	{name: "saved state", kind: transmission, swarm: swarmConfig{tracker: "http"}, saved: true},
	{name: "saved state", kind: qbittorrent, swarm: swarmConfig{tracker: "http"}, saved: true, more: true},

	{name: "running", kind: qbittorrent, swarm: swarmConfig{tracker: "http"}, running: true},
	{name: "running", kind: aria2, swarm: swarmConfig{tracker: "http"}, running: true, more: true},

	{name: "IPv6", kind: transmission, swarm: swarmConfig{tracker: "http", v6: true}},
	{name: "IPv6", kind: qbittorrent, swarm: swarmConfig{tracker: "udp", v6: true}, more: true},

	{name: "LAN peer", kind: transmission, swarm: swarmConfig{tracker: "http"}, opt: func(o *options) { o.lsd = true }, lanPeer: true},
}

// noNode leaves rTorrent without DHT, which it has only when configured.
func noNode(o *options)    { o.node = netip.AddrPort{} }
func encrypted(o *options) { o.encrypted = true }
func noDHT(o *options)     { o.noDHT = true }
