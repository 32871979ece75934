// SPDX-License-Identifier: GPL-2.0-or-later

// Command p2pwall-replay shows what p2pwall would have found and blocked in a recorded
// capture. It needs no privileges and sends nothing.
//
//	p2pwall-replay [--json] [-c FILE] [-lan NETWORK]... CAPTURE...
//
// It runs the engine of p2pwall over pcap and pcapng files, also with gzip compression,
// with the capture's own clock. A time stamp that goes back counts as the latest one
// seen. Without -c it blocks all protocols, as after installation.
//
// A capture does not say which side is the LAN. The LAN is taken to be all hosts with
// private addresses, including their IPv6 addresses. If there are no private addresses,
// it is the hosts that open the connections. The option -lan overrides this. The router's
// MAC is the one that carries the traffic with the outside. The router's IP address comes
// from its ARP messages or from its own packets. Hosts are told apart by MAC. If a MAC is
// that of a router, they are told apart by IP address. The kernel's queue rules are
// imitated: packets that they would not queue are accepted unseen, and packets that the
// kernel's sets would catch are dropped. So the engine sees only the beginning of each
// connection, and of incoming packets only those that the LAN host answers.
//
// Captures may be of Ethernet, PPP, WLAN, or all devices of a Linux machine or a Mac.
// They may have the tags of a router's switch, or come from the firewall logs of Linux
// and OpenBSD. Packets in tunnels are not decoded. If nothing is found, the output says
// what the reason may be.
//
// A capture cannot show how a client reacts to blocking. Later packets of a connection
// are still there after its first packet was dropped. Peers that a blocked client would
// have found next are missing, and so are answers to probes. TCP probes are not sent. So
// the numbers are those of a client that does not react to being blocked. As nobody
// answers, a client that showed only one sign is recognised but not proved; a router
// would probe it. It is listed all the same. Hosts that gave only hints are not listed.
//
// With --json, the output has one JSON object per capture, each on one line:
//
//	file      the name as given
//	packets   packets in the file
//	accepted  IP packets between LAN and outside that pass
//	dropped   those that do not pass; a router would forward all of both
//	sent      packets p2pwall would have sent: answers, probes, resets
//	clients   address, mac ("" when unknown), protocol ("fasttrack"),
//	          proof ("answer", "conduct", or "" when it is only recognised),
//	          first_seen (RFC 3339, UTC, nine digits of fraction),
//	          peers (addresses, in the order of their discovery), locks (how
//	          often its TCP was locked again), dropped (packets from or to it)
//	events    what happened: seq, time (as first_seen), class, event, client,
//	          mac, peer, port, protocol, reason, text; empty ones are left out
//	hints     only if there are no clients: what may be the reason
//	error     only if the file is damaged: the rest is about what could be read
//
// The exit code is 0. It is 1 if the configuration or a capture could not be read
// completely; the other captures are replayed all the same.
package main
