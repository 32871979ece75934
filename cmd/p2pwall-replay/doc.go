// SPDX-License-Identifier: GPL-2.0-or-later

// Command p2pwall-replay shows what the wall would have found and blocked in a
// recorded capture. It needs no privileges and sends nothing.
//
//	p2pwall-replay [--json] [-c FILE] [-lan NETWORK]... CAPTURE...
//
// It runs the engine of p2pwall over pcap and pcapng files (also packed with
// gzip), with the capture's own clock; a time stamp that goes back counts as the
// latest one seen. Without -c everything that is known is blocked, as after
// installation.
//
// A capture knows no devices. The LAN is what has private addresses, together
// with the IPv6 addresses of the same hosts; where a capture has none, the
// hosts that open the connections; -lan overrides that. The router is the
// hardware address that carries the traffic with the outside, its own address
// comes from its ARP messages or its own packets. Hosts whose packets come with
// the hardware address of a router, or of both directions, are told apart by
// their addresses. The queue rules of the kernel are imitated: what they would
// not queue is accepted unseen, and what the kernel's sets would catch is
// dropped. So only the beginnings of connections are looked at, and of what
// comes in only what the LAN host answers.
//
// Captures may be of Ethernet, PPP, WLAN, or all devices of a Linux machine or a
// Mac, with the tags of a router's switch, and from the logs of the firewalls of
// Linux and OpenBSD. Packets in tunnels are not looked into. When nothing is
// found, it says what may be the reason.
//
// What a real wall would have dropped is still in the capture, and what it would
// have caused is not: later packets of a connection whose first packet was
// dropped are fed all the same, peers that a blocked client would have revealed
// next are missing, and so are the answers to the wall's probes. TCP probes are
// not made. The numbers are therefore those of a client that does not react to
// being blocked. Since nobody answers, a client that one sign was seen of is
// recognised, and not proved: a router would ask it. It is listed all the same.
// Hosts that only hints were seen of are not.
//
// With --json, each capture becomes one object on one line:
//
//	file      the name as given
//	packets   packets in the file
//	accepted  IP packets between LAN and outside that pass
//	dropped   those that do not; together, what a router would forward
//	sent      packets the wall would have sent: answers, probes, resets
//	clients   address, mac ("" when unknown), protocol ("fasttrack"),
//	          proof ("answer", "conduct", or "" when it is only recognised),
//	          first_seen (RFC 3339, UTC, nine digits of fraction),
//	          peers (addresses, in the order of their discovery), locks (how
//	          often its TCP was locked anew), dropped (packets of or to it)
//	events    what happened: seq, time (as first_seen), class, event, client,
//	          mac, peer, port, protocol, reason, text; empty ones are left out
//	hints     only if there are no clients: what may be the reason
//	error     only if the file is damaged: the rest is about what could be read
//
// The exit code is 0, or 1 when the configuration or a capture could not be read
// whole; the other captures are replayed all the same.
package main
