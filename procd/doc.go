// SPDX-License-Identifier: GPL-2.0-or-later

// Package procd is the service. Run starts the queues with their engines, the rules, the
// control socket and the log, watches over them, and stops all of them again at the end.
package procd
