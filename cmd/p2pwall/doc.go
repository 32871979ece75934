// SPDX-License-Identifier: GPL-2.0-or-later

// Command p2pwall finds the hosts on the LAN that run peer-to-peer file sharing
// and keeps that traffic from leaving. It is the one binary that ships on the
// router: the daemon, and the commands that ask it.
package main
