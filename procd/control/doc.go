// SPDX-License-Identifier: GPL-2.0-or-later

// Package control is the control socket: its requests, and its replies as JSON or text.
//
// It decides nothing about packets. It calls engines only through state.Loop.Do. JSON is
// written and read by hand: encoding/json costs 0.4 MB of flash on MIPS.
package control
