// SPDX-License-Identifier: GPL-2.0-or-later

// Package state holds what is known about the LAN and decides about each packet. It has the
// tables of hosts, clients and peers, the timer wheel, the engine, counters, events, and
// the snapshot that survives a restart.
//
// One goroutine owns an Engine. It passes packets to Engine.Packet and the time to
// Engine.Advance. Other goroutines use Loop.Do to run a function between two batches. The
// packet path never locks, blocks or allocates. New takes all memory: no packet can make it
// grow.
//
// A client is locked for as long as it shows signs of life or answers probes. A lock cuts
// the client's own ports, its peers, and its connections, old ones included. A strict lock
// also stops its host from opening any TCP connection.
//
// The time is a parameter. Sockets are behind the small interfaces Sender, Sets and Source.
// So the same engine runs on a router and over a recorded capture.
package state
