// SPDX-License-Identifier: GPL-2.0-or-later

// Package state holds what is known and decides what becomes of a packet: the
// tables of hosts, clients and peers, the timer wheel, the engine, counters,
// events, and the snapshot that survives a restart.
//
// One goroutine owns an Engine. It feeds packets to Engine.Packet and time to
// Engine.Advance; others ask it to run a function between two batches with
// Loop.Do. Nothing on the way of a packet locks, blocks or allocates. All memory
// is taken by New: nothing that a packet holds makes it grow.
//
// A client that is found is locked for as long as it shows signs of life, or
// answers probes. A lock cuts the client's own ports, its peers, and its connections, also
// those that were there before; a strict lock lets its host open no TCP connection as well.
//
// Time comes in as a parameter, sockets come in as the small interfaces Sender,
// Sets and Source, so that the same engine runs on a router and over a recorded
// capture.
package state
