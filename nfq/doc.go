// SPDX-License-Identifier: GPL-2.0-or-later

// Package nfq is the seam to the kernel's packet filter: it receives packets
// from an NFQUEUE, hands them out as views into one slab, writes verdicts, sends
// packets in another host's name and keeps the kernel's sets.
//
// Sockets are opened, bound and configured with mdlayher/netlink; what happens
// per packet is raw I/O on the same socket and hand-written encoding, without
// allocation. The wire formats are those of the kernel's
// linux/netfilter/nfnetlink_queue.h, nf_tables.h and ipset/ip_set.h.
//
// What a packet means is decided elsewhere: this package knows headers, not
// protocols.
package nfq
