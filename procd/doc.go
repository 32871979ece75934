// SPDX-License-Identifier: GPL-2.0-or-later

// Package procd is what makes the program a good service: the control socket
// and its JSON, the journal of events with its log lines, readiness and watchdog
// (systemd's protocol), and the commands that are run on events.
//
// It decides nothing about packets. What it asks of an engine it asks through
// state.Loop.Do, and what it is told comes through a channel that the engine
// never waits for. JSON is written and read by hand: encoding/json costs 0.4 MB
// of flash on MIPS.
package procd
