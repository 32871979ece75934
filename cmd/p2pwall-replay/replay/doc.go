// SPDX-License-Identifier: GPL-2.0-or-later

// Package replay feeds a recorded capture to the engine, with the capture's own clock and
// without privileges. It reads pcap and pcapng, removes the link layers, finds the LAN
// side and the router, and imitates the kernel's rules before the queue.
//
// It is for tools on a workstation. The program on the router does not contain it.
package replay
