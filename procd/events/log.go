// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"time"

	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

const (
	// logBurst lines of one class may come at once, logRate a second go on
	// coming.
	logBurst = 60
	logRate  = 10
)

// Log writes events as log lines, with a limit on each class, so that a
// busy client does not fill the router's log.
type Log struct {
	Log *syslog.Logger
	// Wanted reports whether an event is to be logged.
	Wanted func(*Entry) bool

	limits [state.ClassSystem + 1]limit
}

type limit struct {
	_          [0]func() // is not compared, which would cost flash
	tokens     float64
	last       time.Time
	suppressed int
}

// Event writes the line of one event, or counts it as suppressed.
func (l *Log) Event(e *Entry) {
	if e.Quiet || !l.Wanted(e) {
		return
	}
	lim := &l.limits[e.Class]
	lim.tokens = min(lim.tokens+max(e.Wall.Sub(lim.last).Seconds(), 0)*logRate, logBurst)
	lim.last = e.Wall
	if lim.tokens < 1 {
		lim.suppressed++
		return
	}
	lim.tokens--
	if lim.suppressed > 0 {
		l.Log.Printf("%d %s lines were left out", lim.suppressed, e.Class)
		lim.suppressed = 0
	}
	l.Log.Logf(e.priority(), "%s", e.Text())
}

// priority is how much an event matters to the owner of the router.
func (e *Entry) priority() int {
	switch e.Class {
	case state.ClassClient:
		return syslog.Notice
	case state.ClassTable, state.ClassSystem:
		return syslog.Warning
	}
	return syslog.Info
}
