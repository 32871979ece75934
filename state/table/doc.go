// SPDX-License-Identifier: GPL-2.0-or-later

// Package table has the containers that the engine's tables are made of: an index from keys
// to slots, the order of use of slots, both of these together, and a timer wheel. Their
// size is fixed at the start: nothing here allocates later. A container may be used from
// one goroutine only.
package table

// None stands for "no slot". Slots are numbers from 0.
const None = -1
