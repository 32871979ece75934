// SPDX-License-Identifier: GPL-2.0-or-later

// Package procd is the service: Run brings up the queues with their engines, the rules,
// the control socket and the log, looks after them, and takes all down again.
package procd
