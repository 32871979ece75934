// SPDX-License-Identifier: GPL-2.0-or-later

// Package events keeps and passes on what the engines report. It has the journal of the
// last events, the text of each event, the lines of the log, and the commands that run on
// events.
//
// An engine never waits for this package. Events that come too fast are lost and counted.
package events
