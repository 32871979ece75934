// SPDX-License-Identifier: GPL-2.0-or-later

package clients

// webTorrent switches everything off but trackers. The client still listens.
func webTorrent(o *options) { o.noDHT, o.private = true, true }

// newest are the situations of clients that Debian 12 does not have.
var newest = []situation{
	// Clients from the newest Debian.
	{name: "defaults", kind: newTransmission, swarm: swarmConfig{tracker: "http"}, nat: true},
	{name: "defaults", kind: newQBittorrent, swarm: swarmConfig{tracker: "udp"}},
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
	{name: "host firewall and private tracker with uTP", kind: newQBittorrent, swarm: privateSwarm, opt: privateUTP, firewall: true, silent: true, more: true},
	{name: "seeding", kind: newQBittorrent, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "SOCKS5", kind: newQBittorrent, swarm: swarmConfig{tracker: "http", proxy: socks5}, opt: noDHT, mute: true, more: true},

	// Deluge 2.2, in the situations that Debian 12's has.
	{name: "defaults", kind: newDeluge, swarm: swarmConfig{tracker: "udp"}, nat: true, more: true},
	{name: "running", kind: newDeluge, swarm: swarmConfig{tracker: "udp"}, running: true, nat: true, more: true},
	{name: "private tracker", kind: newDeluge, swarm: privateSwarm, opt: private, nat: true, silent: true, more: true},
	{name: "running for a private tracker", kind: newDeluge, swarm: privateSwarm, opt: private, running: true, late: true, more: true},
	{name: "private tracker on port 443", kind: newDeluge, swarm: privateSwarm.on(portTLS), opt: private, silent: true, more: true},
	{name: "running on port 443", kind: newDeluge, swarm: swarmConfig{tracker: "udp", port: portTLS}, running: true, more: true},
	{name: "running on port 443", kind: newLibtorrent, swarm: swarmConfig{tracker: "http", port: portTLS}, running: true, nat: true, more: true},
	{name: "running on port 443", kind: newAria2, swarm: swarmConfig{tracker: "udp", port: portTLS}, running: true, nat: true, more: true},
	{name: "running on port 443", kind: newRTorrent, swarm: swarmConfig{tracker: "http", port: portTLS}, opt: noNode, running: true, late: true, nat: true, more: true},
	{name: "host firewall", kind: newDeluge, swarm: swarmConfig{tracker: "http"}, firewall: true, nat: true, silent: true, more: true},
	{name: "seeding", kind: newDeluge, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "SOCKS5 to a private tracker", kind: newDeluge, swarm: privateSwarm.through(socks5), opt: private, silent: true, more: true},

	// libtorrent 2.1.
	{name: "defaults", kind: newLibtorrent, swarm: swarmConfig{tracker: "http"}, nat: true, more: true},
	{name: "running", kind: newLibtorrent, swarm: swarmConfig{tracker: "http"}, running: true, more: true},
	{name: "private tracker", kind: newLibtorrent, swarm: privateSwarm, opt: private},
	{name: "private tracker with uTP", kind: newLibtorrent, swarm: privateSwarm, opt: privateUTP, nat: true, more: true},
	{name: "running for a private tracker", kind: newLibtorrent, swarm: privateSwarm, opt: private, running: true, late: true, more: true},
	{name: "seeding", kind: newLibtorrent, swarm: swarmConfig{tracker: "http", leech: true}, nat: true, more: true},
	{name: "SSL torrent", kind: newLibtorrent, swarm: swarmConfig{tracker: "http", ssl: true}, opt: noDHT, nat: true, more: true},

	// Clients with WebTorrent, which transfers pieces over WebRTC as calls do.
	{name: "defaults", kind: webtorrent, swarm: swarmConfig{tracker: "http"}, more: true},
	{name: "defaults", kind: anacrolix, swarm: swarmConfig{tracker: "http"}, more: true},
	{name: "private tracker", kind: webtorrent, swarm: privateSwarm, opt: private, more: true},
	{name: "private tracker", kind: anacrolix, swarm: privateSwarm, opt: private, more: true},
	// Found when it tries the other side by TCP as well, as pion's program says where.
	{name: "WebTorrent", kind: anacrolix, swarm: swarmConfig{tracker: "wss", pion: true}, opt: noDHT, more: true},
	{name: "WebTorrent", kind: webtorrent, swarm: swarmConfig{tracker: "wss", pion: true}, opt: noDHT, more: true},
	{name: "WebTorrent", kind: newLibtorrent, swarm: swarmConfig{tracker: "wss"}, opt: noDHT, nat: true},
	// Without DHT, searches and port mapping the program says nowhere where it listens.
	{name: "WebTorrent alone", kind: anacrolix, swarm: swarmConfig{tracker: "wss", pion: true, listed: true}, opt: webTorrent, more: true},
	{name: "WebTorrent alone", kind: webtorrent, swarm: swarmConfig{tracker: "wss", pion: true, listed: true}, opt: webTorrent, more: true},
	{name: "WebTorrent alone", kind: newLibtorrent, swarm: swarmConfig{tracker: "wss", listed: true}, opt: webTorrent, nat: true, more: true},
	{name: "WebTorrent with DHT", kind: anacrolix, swarm: swarmConfig{tracker: "wss", pion: true}, more: true},
	{name: "WebTorrent with DHT", kind: newLibtorrent, swarm: swarmConfig{tracker: "wss", pion: true}, nat: true, more: true},
}
