// SPDX-License-Identifier: GPL-2.0-or-later

// Package replay feeds a recorded capture to the engine, with the capture's own
// clock and without any privilege: it reads pcap and pcapng, peels the link
// layers, finds out which side is the LAN and who the router is, and imitates
// the kernel rules that stand before the queue.
//
// It serves workstation tools; nothing of it is on the router.
package replay
