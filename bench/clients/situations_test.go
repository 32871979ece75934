// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import "net/netip"

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
	more     bool // only asked for with -all
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
var situations = []situation{
	{name: "defaults", kind: transmission, swarm: swarmConfig{tracker: "http"}, nat: true},
	{name: "defaults", kind: qbittorrent, swarm: swarmConfig{tracker: "udp"}},
	{name: "defaults", kind: aria2, swarm: swarmConfig{tracker: "http"}, nat: true},
	{name: "defaults", kind: rtorrent, swarm: swarmConfig{tracker: "http"}, opt: noNode},

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

	// What private trackers ask for, and what is found least: nothing is looked for
	// but the tracker, by HTTPS, and all is encrypted.
	{name: "private tracker", kind: transmission, swarm: privateSwarm, opt: private, nat: true},
	{name: "private tracker", kind: qbittorrent, swarm: privateSwarm, opt: private},
	{name: "private tracker", kind: aria2, swarm: privateSwarm, opt: private, more: true},
	{name: "private tracker", kind: rtorrent, swarm: privateSwarm, opt: private, nat: true, more: true},
	{name: "private tracker", kind: libtorrent, swarm: privateSwarm, opt: private, more: true},
	{name: "private tracker with uTP", kind: transmission, swarm: privateSwarm, opt: privateUTP, more: true},
	{name: "private tracker with uTP", kind: qbittorrent, swarm: privateSwarm, opt: privateUTP, nat: true, more: true},
	{name: "private tracker on port 443", kind: qbittorrent, swarm: privateSwarm.on(portTLS), opt: private},
	{name: "private tracker on port 443", kind: transmission, swarm: privateSwarm.on(portTLS), opt: private, nat: true, more: true},
	{name: "private tracker on port 443", kind: aria2, swarm: privateSwarm.on(portTLS), opt: private, more: true},
	{name: "private tracker on port 443", kind: rtorrent, swarm: privateSwarm.on(portTLS), opt: private, more: true},
	{name: "private tracker on port 80", kind: transmission, swarm: privateSwarm.on(portHTTP), opt: private, more: true},
	{name: "private tracker on port 80", kind: qbittorrent, swarm: privateSwarm.on(portHTTP), opt: private, nat: true, more: true},
	{name: "private tracker on port 80", kind: aria2, swarm: privateSwarm.on(portHTTP), opt: private, more: true},
	{name: "private tracker on port 80", kind: rtorrent, swarm: privateSwarm.on(portHTTP), opt: private, more: true},

	{name: "running on port 443", kind: qbittorrent, swarm: swarmConfig{tracker: "http", port: portTLS}, running: true, more: true},
	{name: "running on port 443", kind: aria2, swarm: swarmConfig{tracker: "http", port: portTLS}, running: true, nat: true, more: true},
	{name: "running on port 443", kind: transmission, swarm: swarmConfig{tracker: "udp", port: portTLS}, running: true, more: true},

	{name: "host firewall", kind: transmission, swarm: swarmConfig{tracker: "http"}, firewall: true, more: true},
	{name: "host firewall", kind: qbittorrent, swarm: swarmConfig{tracker: "udp"}, firewall: true, nat: true, more: true},
	{name: "host firewall", kind: aria2, swarm: swarmConfig{tracker: "http"}, firewall: true, more: true},
	{name: "host firewall", kind: rtorrent, swarm: swarmConfig{tracker: "http"}, opt: noNode, firewall: true, more: true},
	{name: "host firewall and private tracker with uTP", kind: transmission, swarm: privateSwarm, opt: privateUTP, firewall: true, more: true},
	{name: "host firewall and private tracker with uTP", kind: qbittorrent, swarm: privateSwarm, opt: privateUTP, firewall: true, nat: true, more: true},

	{name: "seeding", kind: transmission, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "seeding", kind: qbittorrent, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "seeding", kind: aria2, swarm: swarmConfig{tracker: "http", leech: true, by: onlyTCP}, nat: true, more: true},
	{name: "seeding", kind: rtorrent, swarm: swarmConfig{tracker: "udp", leech: true, by: onlyTCP}, opt: noNode, nat: true, more: true},
	{name: "seeding for a private tracker", kind: transmission, swarm: privateSwarm.seeded(), opt: private, nat: true, more: true},
	{name: "seeding for a private tracker", kind: qbittorrent, swarm: privateSwarm.seeded(), opt: private, nat: true, more: true},

	// Transmission of Debian 12 has no proxy; aria2 uses one for trackers only.
	{name: "SOCKS5", kind: qbittorrent, swarm: swarmConfig{tracker: "http", proxy: socks5}, opt: noDHT},
	{name: "SOCKS5 to a private tracker", kind: qbittorrent, swarm: privateSwarm.through(socks5), opt: private, nat: true, more: true},
	{name: "CONNECT", kind: qbittorrent, swarm: swarmConfig{tracker: "http", proxy: connect}, opt: noDHT, more: true},
	{name: "CONNECT", kind: rtorrent, swarm: swarmConfig{tracker: "http", proxy: connect}, opt: noNode, nat: true, more: true},
	{name: "SSL torrent", kind: libtorrent, swarm: swarmConfig{tracker: "http", ssl: true}, opt: noDHT, nat: true, more: true},
	{name: "SSL torrent", kind: newQBittorrent, swarm: swarmConfig{tracker: "http", ssl: true}, opt: noDHT, nat: true, more: true},
	{name: "WebTorrent", kind: anacrolix, swarm: swarmConfig{tracker: "wss"}, opt: noDHT, more: true},
	{name: "WebTorrent", kind: webtorrent, swarm: swarmConfig{tracker: "wss"}, opt: noDHT, more: true},
	{name: "defaults", kind: webtorrent, swarm: swarmConfig{tracker: "http"}, more: true},
	{name: "private tracker", kind: webtorrent, swarm: privateSwarm, opt: private, more: true},
	{name: "WebTorrent with DHT", kind: anacrolix, swarm: swarmConfig{tracker: "wss"}, more: true},
	{name: "defaults", kind: anacrolix, swarm: swarmConfig{tracker: "http"}, more: true},
	{name: "private tracker", kind: anacrolix, swarm: privateSwarm, opt: private, more: true},
	// Debian's newest, with what is new in them.
	{name: "defaults", kind: newTransmission, swarm: swarmConfig{tracker: "http"}, nat: true, more: true},
	{name: "defaults", kind: newQBittorrent, swarm: swarmConfig{tracker: "udp"}, more: true},
	{name: "defaults", kind: newAria2, swarm: swarmConfig{tracker: "http"}, more: true},
	{name: "defaults", kind: newRTorrent, swarm: swarmConfig{tracker: "http"}, opt: noNode, nat: true, more: true},
	{name: "magnet", kind: newQBittorrent, opt: func(o *options) { o.magnet = true }, nat: true, more: true},
	{name: "running", kind: newQBittorrent, swarm: swarmConfig{tracker: "http"}, running: true, more: true},
	{name: "running", kind: newTransmission, swarm: swarmConfig{tracker: "http"}, running: true, more: true},
	{name: "private tracker", kind: newTransmission, swarm: privateSwarm, opt: private, more: true},
	{name: "private tracker", kind: newQBittorrent, swarm: privateSwarm, opt: private, nat: true, more: true},
	{name: "private tracker", kind: newAria2, swarm: privateSwarm, opt: private, more: true},
	{name: "private tracker", kind: newRTorrent, swarm: privateSwarm, opt: private, more: true},
	{name: "private tracker with uTP", kind: newTransmission, swarm: privateSwarm, opt: privateUTP, more: true},
	{name: "private tracker with uTP", kind: newQBittorrent, swarm: privateSwarm, opt: privateUTP, more: true},
	{name: "private tracker on port 443", kind: newQBittorrent, swarm: privateSwarm.on(portTLS), opt: private, more: true},
	{name: "host firewall and private tracker with uTP", kind: newQBittorrent, swarm: privateSwarm, opt: privateUTP, firewall: true, more: true},
	{name: "seeding", kind: newQBittorrent, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "SOCKS5", kind: newQBittorrent, swarm: swarmConfig{tracker: "http", proxy: socks5}, opt: noDHT, more: true},

	{name: "CONNECT to a private tracker", kind: qbittorrent, swarm: privateSwarm.through(connect), opt: private, nat: true, more: true},
}

// privateSwarm is the outside of a private tracker's torrent.
var privateSwarm = swarmConfig{tracker: "https", private: true, encrypted: true}

// on has the seeds at a port.
func (c swarmConfig) on(port uint16) swarmConfig {
	c.port = port
	return c
}

// through puts a proxy before everything.
func (c swarmConfig) through(proxy string) swarmConfig {
	c.proxy = proxy
	return c
}

// seeded has the client as the seed.
func (c swarmConfig) seeded() swarmConfig {
	c.leech, c.by = true, onlyTCP
	return c
}

// noNode leaves rTorrent without DHT, which it has only when configured.
func noNode(o *options)    { o.node = netip.AddrPort{} }
func encrypted(o *options) { o.encrypted = true }
func noDHT(o *options)     { o.noDHT = true }

// private is a client as private trackers want it, without uTP.
func private(o *options) {
	privateUTP(o)
	o.by = onlyTCP
}

func privateUTP(o *options) {
	o.encrypted, o.noDHT, o.private = true, true, true
	o.node = netip.AddrPort{}
}
