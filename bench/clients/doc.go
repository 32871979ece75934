// SPDX-License-Identifier: GPL-2.0-or-later

// Package clients runs real BitTorrent clients against the wall: transmission-daemon,
// qbittorrent-nox, aria2, rtorrent, Deluge and libtorrent as Debian 12 has them, the first
// four also as the newest Debian has them ("current", in a tree of their own, see tree.go),
// anacrolix/torrent, and WebTorrent of npm. What is costly to make (the tree, the
// programs of the last two) is kept in the user's cache, in p2pwall/clients, and made
// again when it is removed.
//
//	make clients
//	go test -v -run 'TestWall/defaults_rtorrent' ./bench/clients
//	go test -v -run 'TestWall/private_tracker' ./bench/clients -all
//
// Beside them there are clients of eDonkey, aMule as Debian 12 has it and the newest: see
// TestMuleWall and TestMuleWithoutWall, with a small server of eDonkey (edonkey_server.go).
//
// Every situation has a network of its own (package lab): the client's host and
// another host behind a router, outside two seeds (Transmission and qBittorrent, where
// the situation does not need others), a tracker, the nodes of a DHT and proxies, which
// are small programs in this package. No packet leaves that network. A firewall on the
// router lets nothing in that was not asked for, as OpenWrt's does; some situations
// have NAT on top.
//
// TestWall ends with a table: after how long each client was found and released, the
// bytes of pieces that came after the first two seconds, and how often the lock was
// off. P2PWALL_RESULTS names a file for it, and bench/clients/compare puts several
// such files side by side. P2PWALL_BIN chooses the program that is tested.
//
// TestWithoutWall runs the situations without the wall: each must end with the whole
// file, most of which came after the first seconds. So each can fail. TestWall runs
// them with the real program on a real queue, with a short lock time.
//
// # What must hold
//
// Time is counted from the first packet that the client's host sends to an address
// of the swarm (seeds, tracker, DHT), or from the wall's readiness where the client
// ran before it; where that says nothing by which it is known, the two seconds count from
// when it was found. Nothing but the swarm has these addresses.
//
//   - Found: within ten seconds the control socket names the client, as locked, with
//     the protocol bittorrent.
//   - No piece from outside after two seconds. On the wire, of all payload that the
//     router passed from the seeds' addresses to the client's host after that (TCP,
//     and UDP but for datagrams that begin with "d", the DHT's) there is less than
//     one block of 16 KiB, the smallest unit in which pieces are sent. This counts
//     encrypted transfers too. And the client's own account of received bytes grows
//     by less than a block; and no piece but the one that may have been on its way
//     becomes complete on disk, compared with the content. With a peer in the LAN
//     the wire alone judges, and the file must be complete by that peer. Where the
//     client is the seed, what counts is what goes to those outside; with a proxy,
//     what comes from the proxy.
//   - Held: for ten lock times after that the control socket says that the client is
//     locked whenever it is asked, four times a second, and no event says otherwise.
//     Where no question reaches the client (behind a firewall of its host's, or when all
//     of it goes through a proxy) the lock may end while it says nothing.
//   - Released within one lock time after the client's process has ended.
//   - Meanwhile people at the client's host and at another download by HTTPS and HTTP
//     (also with curl), use SSH (OpenSSH) and mail, ask DNS and NTP, load by QUIC
//     (golang.org/x/net/quic), make calls as WebRTC does (STUN, DTLS and SRTP as far
//     as they show on the wire), and keep one TLS connection in use throughout; IPv4
//     and IPv6 by turns. All of it completes at the first try. The router passes every
//     packet of the other host (not judged behind NAT).
//
// The bounds in seconds are properties of the product, not measurements; each has
// slack for a busy machine.
package clients
