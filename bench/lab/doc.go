// SPDX-License-Identifier: GPL-2.0-or-later

// Package lab is a small network of namespaces with a router, an internet and
// simulated hosts. End-to-end tests, the demo and the benchmarks run in it.
//
//	client   .50 --+
//	client2  .51 --+-- br-lan [ router ] wan ---- wan [ inet ]
//	innocent .100 -+   192.168.1.1               198.51.100.0/24
//	                   2001:db8:1::1             203.0.113.0/24
//	                                             192.0.2.0/24
//	                                             2001:db8:ff::/48
//
// New makes it, Close takes all of it away; a helper process does the same when
// this process dies without a Close. Nothing is ever put into the namespace the
// program was started in. Needed are root and the program ip (iproute2), and
// iptables or nft when NAT is asked for.
//
// # What is where
//
//   - Namespace and Host: sockets inside a namespace (Dial, ListenTCP, ListenUDP)
//     and commands in it (Command).
//   - Recorder: every packet that enters or leaves the router on its LAN and WAN
//     devices, in the kernel's order. Lab.Crossings joins the two: what came in
//     from the LAN and left to the internet. That is the lab's oracle: it shares
//     no code with the program under test.
//   - Internet: 200 FastTrack supernodes, transfer servers, and the ordinary
//     servers of the innocent host.
//   - Kazaa, GiFT, MLDonkey, Transfer: simulated clients. Innocent: a host that
//     must not notice anything.
//   - Wall: the real program, started in the router's namespace, and Control, a
//     client of its control socket.
//
// # Time
//
// A simulator divides its waits by its Speed, so that a test with a lock time of
// a second need not last minutes. Retransmissions of SYNs come from the kernel,
// which cannot be hurried.
//
// # Leaks
//
// A leak is a packet of a client that left to the address of a supernode. What the
// client sent before it could be recognised is told apart by the order in which
// packets entered the router, not by any clock, nor by when they left: a SYN sent
// just before the first ping may leave the router after it.
package lab
