// SPDX-License-Identifier: GPL-2.0-or-later

// Package gnutella runs a simulated client of Gnutella and G2 behind the wall. There is no
// program for these networks to install. The client sends UDP pings, opens sessions,
// downloads a file, and answers requests.
//
//	go test ./bench/gnutella
package gnutella
