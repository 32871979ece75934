// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import "net/netip"

// hidden are the situations in which a client is found least.
var hidden = []situation{
	// What private trackers ask for: nothing is looked for but the tracker, by HTTPS,
	// and all is encrypted.
	{name: "private tracker", kind: transmission, swarm: privateSwarm, opt: private, nat: true},
	{name: "private tracker", kind: qbittorrent, swarm: privateSwarm, opt: private},
	{name: "private tracker", kind: aria2, swarm: privateSwarm, opt: private, more: true},
	{name: "private tracker", kind: rtorrent, swarm: privateSwarm, opt: private, nat: true, more: true},
	{name: "private tracker", kind: libtorrent, swarm: privateSwarm, opt: private, more: true},
	// Deluge begins at another port than it listens at, before it has read its settings.
	{name: "private tracker", kind: deluge, swarm: privateSwarm, opt: private, nat: true, silent: true, more: true},
	{name: "private tracker with uTP", kind: transmission, swarm: privateSwarm, opt: privateUTP, more: true},
	{name: "private tracker with uTP", kind: qbittorrent, swarm: privateSwarm, opt: privateUTP, nat: true, more: true},
	{name: "private tracker on IPv6", kind: qbittorrent, swarm: privateSwarm.on6(), opt: private, more: true},
	{name: "private tracker on IPv6", kind: transmission, swarm: privateSwarm.on6(), opt: private, more: true},
	{name: "running for a private tracker", kind: qbittorrent, swarm: privateSwarm, opt: private, running: true, late: true, nat: true, more: true},
	{name: "running for a private tracker", kind: transmission, swarm: privateSwarm, opt: private, running: true, late: true, more: true},

	// Such a client listens at a port of its own choice, so that nobody can ask it there.
	{name: "running for a private tracker on a port of its own", kind: qbittorrent, swarm: privateSwarm, opt: ownPort, running: true, nat: true, second: true, silent: true, more: true},
	{name: "running for a private tracker on a port of its own", kind: aria2, swarm: privateSwarm, opt: ownPort, running: true, nat: true, second: true, silent: true, more: true},

	// The seeds are where web servers are.
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

	// The client cannot be asked.
	{name: "host firewall", kind: transmission, swarm: swarmConfig{tracker: "http"}, firewall: true, silent: true, more: true},
	{name: "host firewall", kind: qbittorrent, swarm: swarmConfig{tracker: "udp"}, firewall: true, nat: true, silent: true, more: true},
	{name: "host firewall", kind: aria2, swarm: swarmConfig{tracker: "http"}, firewall: true, silent: true, more: true},
	{name: "host firewall", kind: rtorrent, swarm: swarmConfig{tracker: "http"}, opt: noNode, firewall: true, mute: true, more: true},
	{name: "host firewall and private tracker with uTP", kind: transmission, swarm: privateSwarm, opt: privateUTP, firewall: true, silent: true, more: true},
	{name: "host firewall and private tracker with uTP", kind: qbittorrent, swarm: privateSwarm, opt: privateUTP, firewall: true, nat: true, silent: true, more: true},

	// The client is the seed, and others come to it through a port of the router's.
	{name: "seeding", kind: transmission, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "seeding", kind: qbittorrent, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "seeding", kind: aria2, swarm: swarmConfig{tracker: "http", leech: true, by: onlyTCP}, nat: true, more: true},
	{name: "seeding", kind: rtorrent, swarm: swarmConfig{tracker: "udp", leech: true, by: onlyTCP}, opt: noNode, nat: true, more: true},
	{name: "seeding for a private tracker", kind: transmission, swarm: privateSwarm.seeded(), opt: private, nat: true, more: true},
	{name: "seeding for a private tracker", kind: qbittorrent, swarm: privateSwarm.seeded(), opt: private, nat: true, more: true},

	// Everything goes through a proxy outside. Transmission of Debian 12 has none,
	// aria2 uses one for trackers only.
	{name: "SOCKS5", kind: qbittorrent, swarm: swarmConfig{tracker: "http", proxy: socks5}, opt: noDHT, mute: true, more: true},
	{name: "SOCKS5 with DHT", kind: qbittorrent, swarm: swarmConfig{tracker: "http", proxy: socks5}, nat: true, silent: true, more: true},
	{name: "SOCKS5 to a private tracker", kind: qbittorrent, swarm: privateSwarm.through(socks5), opt: private, nat: true, silent: true},
	{name: "CONNECT", kind: qbittorrent, swarm: swarmConfig{tracker: "http", proxy: connect}, opt: noDHT, mute: true, more: true},
	{name: "CONNECT", kind: rtorrent, swarm: swarmConfig{tracker: "http", proxy: connect}, opt: noNode, nat: true, more: true},
	{name: "CONNECT to a private tracker", kind: qbittorrent, swarm: privateSwarm.through(connect), opt: private, nat: true, silent: true, more: true},

	// qBittorrent 5.3 takes the certificate of such a torrent, and sends none. NAT makes
	// the client none of the seeds' LAN, for which libtorrent knows no limit.
	{name: "SSL torrent", kind: libtorrent, swarm: swarmConfig{tracker: "http", ssl: true}, opt: noDHT, nat: true, more: true},
}

// privateSwarm is the outside of a private tracker's torrent.
var privateSwarm = swarmConfig{tracker: "https", private: true, encrypted: true}

// on has the seeds at a port.
func (c swarmConfig) on(port uint16) swarmConfig {
	c.port = port
	return c
}

// on6 has all of it on IPv6.
func (c swarmConfig) on6() swarmConfig {
	c.v6 = true
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

// private is a client as private trackers want it, without uTP.
func private(o *options) {
	privateUTP(o)
	o.by = onlyTCP
}

// ownPort is one that listens where no program does that nobody has configured.
func ownPort(o *options) {
	private(o)
	o.port = 23987
}

func privateUTP(o *options) {
	o.encrypted, o.noDHT, o.private = true, true, true
	o.node = netip.AddrPort{}
}
