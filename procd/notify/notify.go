// SPDX-License-Identifier: GPL-2.0-or-later

// Package notify tells systemd that the program is ready, reloads or ends, and that it
// still works.
package notify

import (
	"sync/atomic"
	"time"
)

// Notifier sends systemd the state of the program. Under procd, or from a shell, there is
// no systemd and every method does nothing.
type Notifier struct {
	interval time.Duration // the watchdog's interval, 0 for no watchdog
	started  time.Time
	beats    []atomic.Int64 // the last beat of each loop, as a time since started
}

// New returns a notifier for a number of loops. It feeds the watchdog only while all
// loops call Beat.
func New(loops int) *Notifier {
	return &Notifier{interval: watchdogInterval(), started: time.Now(), beats: make([]atomic.Int64, loops)}
}

// Ready says that the program handles packets.
func (n *Notifier) Ready() { tell("READY=1") }

// Reloading says that the program reads its configuration again. Ready ends this state.
func (n *Notifier) Reloading() { tellReloading() }

// Stopping says that the program ends.
func (n *Notifier) Stopping() { tell("STOPPING=1") }

// Beat notes that one loop is alive. It does not block.
func (n *Notifier) Beat(loop int) { n.beats[loop].Store(int64(time.Since(n.started))) }

// Watch feeds the watchdog until done is closed. It needs a goroutine of its own: a
// message to systemd may block.
func (n *Notifier) Watch(done <-chan struct{}) {
	if n.interval == 0 {
		return
	}
	t := time.NewTicker(n.interval / 4)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if n.alive(time.Since(n.started)) {
				tell("WATCHDOG=1")
			}
		case <-done:
			return
		}
	}
}

// alive reports whether every loop called Beat within half an interval.
func (n *Notifier) alive(now time.Duration) bool {
	for i := range n.beats {
		if now-time.Duration(n.beats[i].Load()) > n.interval/2 {
			return false
		}
	}
	return true
}
