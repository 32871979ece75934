// SPDX-License-Identifier: GPL-2.0-or-later

//go:build !mips && !mipsle

package notify

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// tell sends a message to systemd, if systemd started the program. It ignores errors: the
// program works without systemd.
func tell(s string) { _, _ = daemon.SdNotify(false, s) }

// tellReloading sends the time as well, by which systemd tells one reload from another.
func tellReloading() {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) == nil {
		tell(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, t.Nano()/1000))
	}
}

// watchdogInterval returns how often systemd expects a message, 0 for never.
func watchdogInterval() time.Duration {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return d
}
