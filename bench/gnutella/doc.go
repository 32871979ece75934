// SPDX-License-Identifier: GPL-2.0-or-later

// Package gnutella has a simulated client of Gnutella and G2 behind the wall: there is no
// program for them to install. It looks for others by UDP, opens sessions, downloads a file, and
// answers who asks it.
//
//	go test ./bench/gnutella
package gnutella
