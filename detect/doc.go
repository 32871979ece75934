// SPDX-License-Identifier: GPL-2.0-or-later

// Package detect recognises payloads, and builds the answers and probes of a protocol. It
// consists of pure functions on bytes, without time, sockets, tables or allocation. It
// depends on no other package of this module.
//
// Each protocol is one value of type Protocol in a file of its own, listed in All. All
// other packages know protocols only through that type: see docs/adding-a-protocol.md.
package detect
