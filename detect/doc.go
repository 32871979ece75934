// SPDX-License-Identifier: GPL-2.0-or-later

// Package detect says what a payload is, and builds the answers and probes of a
// protocol. It is pure: functions on bytes, without time, sockets, tables or
// allocation, and it depends on no other package of this module.
//
// A protocol is one value of type Protocol in a file of its own, listed in All. All
// other packages know protocols only through that type: docs/adding-a-protocol.md.
package detect
