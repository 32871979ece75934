// SPDX-License-Identifier: GPL-2.0-or-later

//go:build mips || mipsle

package notify

import "time"

// These routers run OpenWrt, whose procd has no watchdog for services. They also have the
// least flash: go-systemd would bring in the net package, 150 KB.

func tell(string) {}

func tellReloading() {}

func watchdogInterval() time.Duration { return 0 }
