// SPDX-License-Identifier: GPL-2.0-or-later

// Guestctl is the helper inside an emulated router: it makes traffic, measures
// processes and stands in for tools that do not exist for the architecture. It
// is one static binary; what it does follows from its first argument or, for
// the stand-ins, from the name it is called by.
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
