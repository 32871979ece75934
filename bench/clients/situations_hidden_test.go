// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import "net/netip"

// hidden are the situations in which clients are hardest to find.
var hidden = []situation{
	// Private trackers require this: peers only from the tracker, which uses HTTPS, and
	// all connections encrypted.
	{name: "private tracker", kind: transmission, swarm: privateSwarm, opt: private, nat: true},
	{name: "private tracker", kind: qbittorrent, swarm: privateSwarm, opt: private},
	{name: "private tracker", kind: aria2, swarm: privateSwarm, opt: private, more: true},
	{name: "private tracker", kind: rtorrent, swarm: privateSwarm, opt: private, nat: true, more: true},
	{name: "private tracker", kind: libtorrent, swarm: privateSwarm, opt: private, more: true},
	// Deluge first uses another port than its listening port, before it has read its
	// settings.
	{name: "private tracker", kind: deluge, swarm: privateSwarm, opt: private, nat: true, silent: true, more: true},
	{name: "private tracker with uTP", kind: transmission, swarm: privateSwarm, opt: privateUTP, more: true},
	{name: "private tracker with uTP", kind: qbittorrent, swarm: privateSwarm, opt: privateUTP, nat: true, more: true},
	{name: "private tracker on IPv6", kind: qbittorrent, swarm: privateSwarm.on6(), opt: private, more: true},
	{name: "private tracker on IPv6", kind: transmission, swarm: privateSwarm.on6(), opt: private, more: true},
	{name: "running for a private tracker", kind: qbittorrent, swarm: privateSwarm, opt: private, running: true, late: true, nat: true, more: true},
	{name: "running for a private tracker", kind: transmission, swarm: privateSwarm, opt: private, running: true, late: true, more: true},
	{name: "running for a private tracker", kind: aria2, swarm: privateSwarm, opt: private, running: true, late: true, more: true},
	{name: "running for a private tracker", kind: rtorrent, swarm: privateSwarm, opt: private, running: true, late: true, nat: true, more: true},
	{name: "running for a private tracker", kind: deluge, swarm: privateSwarm, opt: private, running: true, late: true, more: true},

	// This client listens at an unusual port, so the wall cannot probe it.
	{name: "running for a private tracker on a port of its own", kind: qbittorrent, swarm: privateSwarm, opt: ownPort, running: true, nat: true, second: true, silent: true, more: true},
	{name: "running for a private tracker on a port of its own", kind: aria2, swarm: privateSwarm, opt: ownPort, running: true, nat: true, second: true, silent: true, more: true},

	// The seeds use the ports of web servers.
	{name: "private tracker on port 443", kind: qbittorrent, swarm: privateSwarm.on(portTLS), opt: private},
	{name: "private tracker on port 443", kind: transmission, swarm: privateSwarm.on(portTLS), opt: private, nat: true, more: true},
	{name: "private tracker on port 443", kind: aria2, swarm: privateSwarm.on(portTLS), opt: private, more: true},
	{name: "private tracker on port 443", kind: rtorrent, swarm: privateSwarm.on(portTLS), opt: private, more: true},
	{name: "private tracker on port 443", kind: deluge, swarm: privateSwarm.on(portTLS), opt: private, silent: true, more: true},
	{name: "private tracker on port 80", kind: transmission, swarm: privateSwarm.on(portHTTP), opt: private, more: true},
	{name: "private tracker on port 80", kind: qbittorrent, swarm: privateSwarm.on(portHTTP), opt: private, nat: true, more: true},
	{name: "private tracker on port 80", kind: aria2, swarm: privateSwarm.on(portHTTP), opt: private, more: true},
	{name: "private tracker on port 80", kind: rtorrent, swarm: privateSwarm.on(portHTTP), opt: private, more: true},
	{name: "running on port 443", kind: qbittorrent, swarm: swarmConfig{tracker: "http", port: portTLS}, running: true, more: true},
	{name: "running on port 443", kind: aria2, swarm: swarmConfig{tracker: "http", port: portTLS}, running: true, nat: true, more: true},
	{name: "running on port 443", kind: transmission, swarm: swarmConfig{tracker: "udp", port: portTLS}, running: true, more: true},
	{name: "running on port 443", kind: rtorrent, swarm: swarmConfig{tracker: "http", port: portTLS}, running: true, nat: true, more: true},
	{name: "running on port 443", kind: deluge, swarm: swarmConfig{tracker: "udp", port: portTLS}, running: true, more: true},

	// Probes cannot reach the client.
	{name: "host firewall", kind: transmission, swarm: swarmConfig{tracker: "http"}, firewall: true, silent: true, more: true},
	{name: "host firewall", kind: qbittorrent, swarm: swarmConfig{tracker: "udp"}, firewall: true, nat: true, silent: true, more: true},
	{name: "host firewall", kind: aria2, swarm: swarmConfig{tracker: "http"}, firewall: true, silent: true, more: true},
	{name: "host firewall", kind: deluge, swarm: swarmConfig{tracker: "http"}, firewall: true, nat: true, silent: true, more: true},
	{name: "host firewall", kind: rtorrent, swarm: swarmConfig{tracker: "http"}, opt: noNode, firewall: true, mute: true, more: true},
	{name: "host firewall and private tracker with uTP", kind: transmission, swarm: privateSwarm, opt: privateUTP, firewall: true, silent: true, more: true},
	{name: "host firewall and private tracker with uTP", kind: qbittorrent, swarm: privateSwarm, opt: privateUTP, firewall: true, nat: true, silent: true, more: true},

	// The client is the seed. Peers connect to it through a forwarded port.
	{name: "seeding", kind: transmission, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "seeding", kind: qbittorrent, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "seeding", kind: aria2, swarm: swarmConfig{tracker: "http", leech: true, by: onlyTCP}, nat: true, more: true},
	{name: "seeding", kind: deluge, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "seeding", kind: rtorrent, swarm: swarmConfig{tracker: "udp", leech: true, by: onlyTCP}, opt: noNode, nat: true, more: true},
	{name: "seeding for a private tracker", kind: transmission, swarm: privateSwarm.seeded(), opt: private, nat: true, more: true},
	{name: "seeding for a private tracker", kind: qbittorrent, swarm: privateSwarm.seeded(), opt: private, nat: true, more: true},

	// All traffic goes through a proxy on the internet. Debian 12's Transmission has no
	// proxy setting, and aria2 uses a proxy for trackers only.
	{name: "SOCKS5", kind: qbittorrent, swarm: swarmConfig{tracker: "http", proxy: socks5}, opt: noDHT, mute: true, more: true},
	{name: "SOCKS5 with DHT", kind: qbittorrent, swarm: swarmConfig{tracker: "http", proxy: socks5}, nat: true, silent: true, more: true},
	{name: "SOCKS5 to a private tracker", kind: qbittorrent, swarm: privateSwarm.through(socks5), opt: private, nat: true, silent: true},
	{name: "SOCKS5 to a private tracker", kind: deluge, swarm: privateSwarm.through(socks5), opt: private, silent: true, more: true},
	{name: "CONNECT", kind: qbittorrent, swarm: swarmConfig{tracker: "http", proxy: connect}, opt: noDHT, mute: true, more: true},
	{name: "CONNECT", kind: rtorrent, swarm: swarmConfig{tracker: "http", proxy: connect}, opt: noNode, nat: true, more: true},
	{name: "CONNECT to a private tracker", kind: qbittorrent, swarm: privateSwarm.through(connect), opt: private, nat: true, silent: true, more: true},

	// qBittorrent 5.3 accepts the certificate of such a torrent but sends none.
	// libtorrent ignores rate limits for peers in the same LAN; with NAT the client is
	// not in the seeds' LAN.
	{name: "SSL torrent", kind: libtorrent, swarm: swarmConfig{tracker: "http", ssl: true}, opt: noDHT, nat: true, more: true},
}

// privateSwarm is the swarm of a private tracker's torrent.
var privateSwarm = swarmConfig{tracker: "https", private: true, encrypted: true}

// on sets the seeds' port.
func (c swarmConfig) on(port uint16) swarmConfig {
	c.port = port
	return c
}

// on6 uses IPv6 only.
func (c swarmConfig) on6() swarmConfig {
	c.v6 = true
	return c
}

// through makes the client use a proxy for everything.
func (c swarmConfig) through(proxy string) swarmConfig {
	c.proxy = proxy
	return c
}

// seeded makes the client the seed.
func (c swarmConfig) seeded() swarmConfig {
	c.leech, c.by = true, onlyTCP
	return c
}

// private configures a client for private trackers, without uTP.
func private(o *options) {
	privateUTP(o)
	o.by = onlyTCP
}

// ownPort also sets a listening port that is no program's default.
func ownPort(o *options) {
	private(o)
	o.port = 23987
}

func privateUTP(o *options) {
	o.encrypted, o.noDHT, o.private = true, true, true
	o.node = netip.AddrPort{}
}
