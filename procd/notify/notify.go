// SPDX-License-Identifier: GPL-2.0-or-later

// Package notify tells the service manager, in systemd's protocol, that the program is
// ready, reloads or ends, and that it still works.
package notify

import (
	"sync/atomic"
	"time"
)

// Notifier tells the service manager how the program is. Under procd, or from a
// shell, there is nobody to tell and every method does nothing.
type Notifier struct {
	interval time.Duration // of the watchdog, 0 for none
	started  time.Time
	beats    []atomic.Int64 // the last beat of each loop, as a time since started
}

// New returns a notifier for that many loops: the watchdog is fed only
// while each of them beats.
func New(loops int) *Notifier {
	return &Notifier{interval: watchdogInterval(), started: time.Now(), beats: make([]atomic.Int64, loops)}
}

// Ready says that packets are being decided.
func (n *Notifier) Ready() { tell("READY=1") }

// Reloading says that the configuration is read anew; Ready ends it.
func (n *Notifier) Reloading() { tellReloading() }

// Stopping says that the program ends.
func (n *Notifier) Stopping() { tell("STOPPING=1") }

// Beat records a sign of life of one loop. It does not block.
func (n *Notifier) Beat(loop int) { n.beats[loop].Store(int64(time.Since(n.started))) }

// Watch feeds the watchdog until done is closed. It is for a goroutine of its
// own: the service manager may be slow to hear.
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

// alive reports whether all loops have beaten lately.
func (n *Notifier) alive(now time.Duration) bool {
	for i := range n.beats {
		if now-time.Duration(n.beats[i].Load()) > n.interval/2 {
			return false
		}
	}
	return true
}
