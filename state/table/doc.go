// SPDX-License-Identifier: GPL-2.0-or-later

// Package table has the containers of which the engine's tables are made: an index from
// keys to slots, the order in which slots were used, both of them together, and a timer
// wheel. Each has a fixed size that is set at its start: nothing here allocates later.
// Who owns one may use it from one goroutine only.
package table

// None stands for "no slot". Slots are numbers from 0.
const None = -1
