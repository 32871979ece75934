// SPDX-License-Identifier: GPL-2.0-or-later

// Guestctl runs inside an emulated router. It makes traffic, measures processes and
// replaces tools that do not exist for the architecture. It is one static binary. Its
// first argument says what it does; in place of a tool it is called by the tool's name.
//
//	guestctl flood ADDR COUNT FLOWS BURST PAUSE_US   UDP load, prints the count
//	guestctl cpu PID                                 CPU time used, nanoseconds
//	guestctl first QUEUE -- COMMAND ...              milliseconds to the first verdict
//	guestctl service PIDFILE LOG COMMAND ...         start a process in the background
//	guestctl udp ADDR:PORT TIMEOUT_MS                one datagram and its echo
//	guestctl echo PORT                               UDP and TCP echo server
//	guestctl tcp ADDR:PORT TIMEOUT_MS BYTES          a TCP connection that sends and reads
//	guestctl sink PORT                               TCP server that reads to the end
//	guestctl bulk udp|tcp ADDR:PORT COUNT            nanoseconds for 1400 bytes
//	nft, ipset                                       run outside, see remote.go
package main
