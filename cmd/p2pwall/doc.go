// SPDX-License-Identifier: GPL-2.0-or-later

// Command p2pwall finds the hosts on the LAN that run peer-to-peer file sharing, and
// blocks that traffic. It is the only binary on the router: the daemon, and the commands
// that talk to it.
package main
