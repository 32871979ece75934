// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"net/netip"
	"slices"
)

// situation is one way to run a client.
type situation struct {
	name  string // no comma: rTorrent's paths cannot contain one
	kind  *kind
	swarm swarmConfig
	opt   func(*options)

	nat     bool // the LAN is masqueraded, as on most routers; otherwise routed
	saved   bool // tracker and DHT are silent; the client knows peers from an earlier run
	running bool // the wall starts when the transfer already runs
	lanPeer bool // another host in the LAN has the file
	// firewall: the client's host drops unsolicited packets.
	firewall bool
	// silent: no probe reaches the client, so the lock may end while the client is
	// silent. mute: the client also has nobody to contact, because its tracker is cut. So
	// it need not be found. Still no piece may pass in either case.
	silent, mute bool
	// late: nothing that the client sends identifies it, so the wall must find it first.
	// The two seconds count from then. second: the same, but the wall can probe it only
	// when it connects again.
	late, second bool
	more         bool // runs only with -all
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

// situations run with and without the wall. Without the wall all must get the file.
var situations = slices.Concat(usual, hidden, newest)

// usual are common situations with Debian 12's clients.
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
	{name: "running", kind: transmission, swarm: swarmConfig{tracker: "http"}, running: true, nat: true, more: true},
	{name: "running", kind: rtorrent, swarm: swarmConfig{tracker: "http"}, running: true, more: true},
	{name: "running", kind: deluge, swarm: swarmConfig{tracker: "udp"}, running: true, nat: true, more: true},

	{name: "IPv6", kind: transmission, swarm: swarmConfig{tracker: "http", v6: true}},
	{name: "IPv6", kind: qbittorrent, swarm: swarmConfig{tracker: "udp", v6: true}, more: true},

	{name: "LAN peer", kind: transmission, swarm: swarmConfig{tracker: "http"}, opt: func(o *options) { o.lsd = true }, lanPeer: true},
}

// noNode leaves rTorrent without DHT. rTorrent uses DHT only if it is configured.
func noNode(o *options)    { o.node = netip.AddrPort{} }
func encrypted(o *options) { o.encrypted = true }
func noDHT(o *options)     { o.noDHT = true }
