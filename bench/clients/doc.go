// SPDX-License-Identifier: GPL-2.0-or-later

// Package clients runs real BitTorrent clients against the wall: transmission-daemon,
// qbittorrent-nox, aria2, rtorrent, Deluge and libtorrent from Debian 12, all of them also
// from the newest Debian ("current", in their own tree, see tree.go; libtorrent 2.1 is from
// its suite experimental), anacrolix/torrent, and npm's WebTorrent. The tree and the
// programs of the last two take long to make. They are kept in the user's cache, in
// p2pwall/clients, and made again when they are removed.
//
//	make clients
//	go test -v -run 'TestWall/defaults_rtorrent' ./bench/clients
//	go test -v -run 'TestWall/private_tracker' ./bench/clients -all
//
// There are also eDonkey clients: aMule from Debian 12 and the newest one. See TestMuleWall
// and TestMuleWithoutWall. Their small server is in edonkey_server.go.
//
// Every situation has its own network (package lab). The client's host and another host
// are behind a router. On the internet are two seeds (Transmission and qBittorrent unless
// the situation needs others), a tracker, DHT nodes, a STUN server and proxies. All but
// the seeds are small programs in this package. No packet leaves that network. A firewall
// on the router drops unsolicited packets, as OpenWrt's does. Some situations also have NAT.
//
// TestWall ends with a table: the times until each client was found and released, the
// bytes of pieces that came after the first two seconds, and how often the lock was off.
// P2PWALL_RESULTS is the path of a file for the table, and bench/clients/compare joins
// several such files. P2PWALL_BIN is the path of the program under test.
//
// TestWithoutWall runs the situations without the wall. Each must end with the whole
// file, and a large part of it must come after the first seconds. This shows that each
// can fail. TestWall runs them with the real program on a real queue, with a short lock
// time.
//
// # What must hold
//
// Time counts from the first packet that the client's host sends to an address of the
// swarm (seeds, tracker, DHT). If the client ran before the wall, it counts from the time
// when the wall is ready. If nothing that such a client sends identifies it, the two
// seconds count from the time when it was found. Only the swarm uses these addresses.
//
//   - Found: within ten seconds the control socket lists the client as locked, with
//     the protocol bittorrent.
//   - No piece from the internet after two seconds. On the wire this is the payload
//     that the router passed from the seeds' addresses to the client's host: TCP, and
//     UDP without DHT datagrams, which begin with "d", and without STUN and handshakes of
//     DTLS. It must be less than one block of 16 KiB, the smallest unit in which pieces are sent. This counts encrypted
//     transfers too. From when the client has counted what it has, its own count of
//     received bytes must grow by less than a block. On disk at most one more piece may
//     become complete. With a peer in the LAN only the wire counts, and the file must
//     become complete from that peer. If the client is the seed, the payload to the peers
//     counts. With a proxy, the payload from the proxy counts.
//   - Held: for ten lock times the test asks the control socket four times a second.
//     The client must always be locked, and no event may say otherwise. If no probe
//     reaches the client (firewall on its host, or all traffic through a proxy), the
//     lock may end while the client is silent.
//   - Released within one lock time after the end of the client's process.
//   - Meanwhile users at the client's host and at another host download by HTTPS and
//     HTTP (also with curl), use SSH (OpenSSH), mail, DNS, NTP and QUIC
//     (golang.org/x/net/quic), make calls that look like WebRTC on the wire (STUN, DTLS
//     and SRTP), and use one TLS connection throughout, over IPv4 and IPv6 in turn. All
//     of it must complete at the first or second try. The router must pass every packet
//     of the other host (not checked behind NAT).
//
// The limits in seconds are requirements, not measurements. Each has slack for a busy
// machine.
package clients
