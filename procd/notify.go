// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier tells the service manager how the program is. Under procd, or from a
// shell, there is nobody to tell and every method does nothing.
type Notifier struct {
	mu       sync.Mutex
	interval time.Duration // of the watchdog, 0 for none
	beats    []time.Time   // the last beat of each loop
}

// NewNotifier returns a notifier for that many loops: the watchdog is fed only
// while each of them beats.
func NewNotifier(loops int) *Notifier {
	n := &Notifier{beats: make([]time.Time, loops)}
	if d, err := daemon.SdWatchdogEnabled(false); err == nil {
		n.interval = d
	}
	return n
}

// Ready says that packets are being decided.
func (n *Notifier) Ready() { tell(daemon.SdNotifyReady) }

// Reloading says that the configuration is read anew; Ready ends it.
func (n *Notifier) Reloading() {
	// The time stamp that systemd asks for is in the library's constant
	// only from the protocol's newer form on; the older form suffices for
	// Type=notify.
	tell(daemon.SdNotifyReloading)
}

// Stopping says that the program ends.
func (n *Notifier) Stopping() { tell(daemon.SdNotifyStopping) }

// Status says in words what the program is doing.
func (n *Notifier) Status(s string) { tell("STATUS=" + s) }

// Beat records a sign of life of one loop, and feeds the watchdog when all have
// given one lately.
func (n *Notifier) Beat(loop int) {
	if n.interval == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	n.beats[loop] = now
	for _, b := range n.beats {
		if now.Sub(b) > n.interval/2 {
			return
		}
	}
	tell(daemon.SdNotifyWatchdog)
}

// tell sends a message. That nobody hears it is no reason to end.
func tell(s string) { _, _ = daemon.SdNotify(false, s) }
