// SPDX-License-Identifier: GPL-2.0-or-later

// Package procd is what makes the program a good service: readiness and watchdog
// (systemd's protocol), and giving up root.
package procd
