// SPDX-License-Identifier: GPL-2.0-or-later

// Package events keeps what the engines report and passes it on: a journal of the last
// events, their sentences, the lines of the log, and the commands that run on events.
//
// An engine never waits for it: what comes too fast is lost and counted.
package events
