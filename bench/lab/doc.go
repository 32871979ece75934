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
// New makes the network and Close removes it. If this process dies without Close, a
// child process removes it. The namespace in which the program was started is never
// changed. The package needs root and the program ip (iproute2), and iptables or nft
// for NAT.
//
// # What is where
//
//   - Namespace and Host: sockets inside a namespace (Dial, ListenTCP, ListenUDP)
//     and commands in it (Command).
//   - Recorder: every packet that enters or leaves the router on its LAN and WAN
//     devices, in the kernel's order. Lab.Crossings returns the packets that came
//     in from the LAN and left to the internet. The tests judge by them. They share
//     no code with the program under test.
//   - Internet: 200 FastTrack supernodes, transfer servers, and the ordinary
//     servers of the innocent host.
//   - Kazaa, GiFT, MLDonkey, Transfer: simulated clients. Innocent: a host whose
//     traffic must not be disturbed.
//   - Wall: the real program, started in the router's namespace, and Control, a
//     client of its control socket.
//
// # Time
//
// A simulator divides its waiting times by its Speed, so that a test with a lock time
// of a second need not last minutes. The kernel's SYN retransmissions keep their times.
//
// # Leaks
//
// A leak is a packet of a client that left to the address of a supernode. Packets that
// the client sent before it could be recognised are no leaks. The order in which
// packets entered the router decides this, not a clock and not the order in which they
// left: a SYN sent just before the first ping may leave the router after that ping.
package lab
