// SPDX-License-Identifier: GPL-2.0-or-later

// Demo shows the wall at work, in less than a minute, in a network of namespaces
// on this machine: a simulated Kazaa goes through its three modes, a simulated
// giFT tries its way, and an innocent host beside them must not notice.
//
// It needs root. It builds p2pwall, unless P2PWALL_BIN names one that is built.
// Its last line says how many peers were reached and how the innocent host fared;
// the exit code is 0 when no peer was reached and nothing innocent failed, 1 when
// that is not so, 2 when the demo could not run. Nothing is left behind, also
// after Ctrl-C.
//
// With -v the wall's own log is shown as well.
package main
