// SPDX-License-Identifier: GPL-2.0-or-later

// Command corpus measures what is recognised, and what is mistaken, in a
// collection of captures with known content.
//
//	go run ./bench/corpus [-dir DIR] [-v]
//
// DIR holds captures, manifest.tsv (file, packets, flows, class, ...) and
// flows.tsv (file, l4, a, b, label, ...). Every flow with payload is shown to the
// classifiers of every protocol, in both roles; a flow counts as recognised when
// one of them is sure, by whichever packet, or by several of one direction (Flow).
// Every capture is replayed through the engine too.
//
// A hit in a capture of the classes neg and hardneg is a false positive: it is
// listed, and the exit code is 1. The table gives, by class and label, the flows
// with payload and how many of them were recognised. The label of a flow that
// flows.tsv does not know is, in captures of the lab, the name of the capture,
// and "-" elsewhere.
//
// The column "cut if locked" is the second reading, of the negatives only: how many flows
// are cut when each host is locked for BitTorrent. Who opened a flow is taken for the LAN
// host, and the flow is judged by what that host says alone. What is cut for a shape that
// anything random has is listed with that shape, and is no error: a router asks such a
// connection by a handshake, and lets the next one go. What is cut for anything else is
// an error like a false positive.
//
// The column "mse" counts flows whose two beginnings could be an encrypted
// BitTorrent handshake. That is no proof and no false positive: it counts only
// for a host of which more is known.
//
// Flows are those of TCP and UDP as a router sees them: what is inside a tunnel
// (GTP, VXLAN, GRE, 6in6) is not unpacked, other protocols and later fragments are
// left out, and so is what cannot be read. The line before the last says how that
// agrees with flows.tsv, and -v lists the flows that only one of the two has.
//
// Of the 3,687 negative flows of TCP and UDP in ../shared/corpus/flows.tsv, 3,533
// are counted, 132 have no payload, 14 are inside tunnels and 8 in damaged captures
// (7 of datagrams that claim to be longer than their packets, 1 in a file that
// cannot be read). Counted beside them are 20: the 18 flows that are the tunnels,
// and 2 in damaged captures. That makes 3,553, and 3,555 by the labels, which is
// also how many of them have payload in nDPI's own results. The 3,570 of the
// README.md there are 15 more: neither the labels nor the captures have those.
package main
