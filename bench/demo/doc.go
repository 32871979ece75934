// SPDX-License-Identifier: GPL-2.0-or-later

// Demo shows the wall at work, in less than a minute, in network namespaces on this
// machine. A simulated Kazaa goes through its three modes, and a simulated giFT tries to
// connect in its own way. The traffic of an innocent host must not be affected.
//
// The demo needs root. It builds p2pwall, unless P2PWALL_BIN names a built one. Its last
// line says how many peers the clients reached and what the innocent host lost. The exit
// code is 0 when no peer was reached and nothing innocent failed, 1 otherwise, and 2 when
// the demo could not run. Nothing is left behind, even after Ctrl-C.
//
// With -v the demo also shows the wall's own log.
package main
