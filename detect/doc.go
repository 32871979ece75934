// SPDX-License-Identifier: GPL-2.0-or-later

// Package detect says what a payload is, and builds the answers and probes of a
// protocol. It is pure: functions on bytes, without time, sockets, tables or
// allocation, and it depends on no other package of this module.
//
// A protocol is one value of type Protocol in a file of its own, listed in All.
// The engine (package state) knows protocols only through that type, so that
// adding one changes nothing there.
package detect
