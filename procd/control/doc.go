// SPDX-License-Identifier: GPL-2.0-or-later

// Package control is the control socket: its requests, and the answers in JSON and in
// words.
//
// It decides nothing about packets. What it asks of an engine it asks through
// state.Loop.Do. JSON is written and read by hand: encoding/json costs 0.4 MB of flash
// on MIPS.
package control
