// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/state"
)

// Logger writes lines to standard error, where procd and systemd pick them up.
type Logger struct {
	mu sync.Mutex
	w  io.Writer
}

// NewLogger returns a logger that writes to w.
func NewLogger(w io.Writer) *Logger { return &Logger{w: w} }

// Printf writes one line.
func (l *Logger) Printf(format string, args ...any) {
	line := fmt.Appendf(nil, "p2pwall: "+format+"\n", args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.w.Write(line)
}

const (
	// logBurst lines of one class may come at once, logRate a second go on
	// coming.
	logBurst = 60
	logRate  = 10
)

// EventLog writes events as log lines, with a limit on each class, so that a
// busy client does not fill the router's log.
type EventLog struct {
	Log *Logger
	// Wanted reports whether an event is to be logged.
	Wanted func(*Entry) bool

	limits [state.ClassSystem + 1]limit
}

type limit struct {
	tokens     float64
	last       time.Time
	suppressed int
}

// Event writes the line of one event, or counts it as suppressed.
func (l *EventLog) Event(e *Entry) {
	if !l.Wanted(e) {
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
	l.Log.Printf("%s", e.Text())
}
