// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"time"

	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

const (
	// logBurst is how many lines of one class may come at once, logRate how many per
	// second after that.
	logBurst = 60
	logRate  = 10
)

// Log writes events as log lines. A limit on each class keeps a busy client from filling
// the router's log.
type Log struct {
	Log *syslog.Logger
	// Wanted reports whether an event is to be logged.
	Wanted func(*Entry) bool

	limits [state.ClassSystem + 1]limit
}

type limit struct {
	_          [0]func() // not comparable: the code for == would cost flash
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

// priority returns the syslog priority of an event.
func (e *Entry) priority() int {
	switch e.Class {
	case state.ClassClient:
		return syslog.Notice
	case state.ClassTable, state.ClassSystem:
		return syslog.Warning
	}
	return syslog.Info
}
